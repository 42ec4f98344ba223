import type { EventTrace } from '../trace-context.ts'

export type SpanKind = 'server' | 'client' | 'producer'
/** Contains nothing personal and no secret: spans leave this service. */
export type SpanAttributes = Readonly<Record<string, string | number | undefined>>

export interface SpanStart {
  readonly name: string
  readonly kind: SpanKind
  readonly attributes: SpanAttributes
  /** By `performance.now()`. Default: now. */
  readonly startedMs?: number
}

/** The headers of a request that belongs to a trace, as they came; they may be invalid, and the trace not recorded. */
export interface RemoteParent {
  readonly traceparent: string
  readonly tracestate?: string | undefined
}

interface RootStart extends SpanStart {
  /** The span that caused it. Ignored if it is invalid. */
  readonly parent?: RemoteParent | undefined
  /** Events that it is about. */
  readonly links?: readonly EventTrace[]
}

/** A span that is recorded. */
export interface RecordedSpan {
  readonly traceId: string
  readonly spanId: string
  /** For what follows from it: stored in the event, or sent to the receiver. */
  readonly trace: EventTrace
  child(start: SpanStart): RecordedSpan | undefined
  /** @param error what failed, as a code or the name of an error; `undefined`: nothing */
  end(attributes: SpanAttributes, error?: string): void
}

/** Records traces. It exists only while tracing is on, so that tracing costs nothing otherwise. */
export interface Tracing {
  /** @returns `undefined` if the sampler decides that the trace is not recorded */
  start(start: RootStart): RecordedSpan | undefined
  /** Sends the spans that wait, for a second at most. Never rejects. */
  close(): Promise<void>
}
