/** Identifies a span, as W3C Trace Context (level 1) writes it. */
export interface SpanId {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits. */
  readonly spanId: string
  /** 1: the trace is recorded. */
  readonly traceFlags: number
}

/**
 * The trace that an event belongs to, as the extension attributes of CloudEvents and the headers of a request carry it.
 * It exists only for a recorded trace: a `traceparent` with the flag 00 would switch the receiver's tracing off.
 */
export interface EventTrace {
  readonly traceparent: string
  readonly tracestate?: string
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/
/** W3C asks for this length at least to be passed on; the OpenTelemetry API ignores a longer one. */
const MAX_TRACESTATE_LENGTH = 512
const TRACESTATE = /^[\x20-\x7e]+$/
const RECORDED = 1

/** @returns `undefined` unless it is a valid `traceparent` of version 00 */
export function parseTraceparent(text: string): SpanId | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text) ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & RECORDED }
}

/** @returns `undefined` unless the trace is recorded. An invalid `tracestate` is left out */
export function eventTrace(traceparent: unknown, tracestate: unknown): EventTrace | undefined {
  if (typeof traceparent !== 'string' || parseTraceparent(traceparent)?.traceFlags !== RECORDED)
    return undefined
  return isTracestate(tracestate) ? { traceparent, tracestate } : { traceparent }
}

/** @param span a span of a recorded trace */
export const traceparentOf = ({ traceId, spanId }: Omit<SpanId, 'traceFlags'>): string =>
  `00-${traceId}-${spanId}-01`

const isTracestate = (text: unknown): text is string =>
  typeof text === 'string' && text.length <= MAX_TRACESTATE_LENGTH && TRACESTATE.test(text)

/** Names and values in turn. */
export const traceHeaders = ({ traceparent, tracestate }: EventTrace): string[] =>
  tracestate === undefined
    ? ['traceparent', traceparent]
    : ['traceparent', traceparent, 'tracestate', tracestate]
