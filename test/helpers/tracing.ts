import { randomBytes } from 'node:crypto'
import type { RecordedSpan, SpanAttributes, SpanStart, Tracing } from '../../src/ops/spans.ts'
import { type EventTrace, eventTrace, parseTraceparent, traceparentOf } from '../../src/trace-context.ts'

export interface KeptSpan {
  readonly name: string
  readonly kind: string
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string | undefined
  readonly links: readonly EventTrace[]
  readonly attributes: SpanAttributes
  readonly error: string | undefined
}

/** Records every trace in memory, in the order in which spans end. Needs no SDK, which an old Node cannot load. */
export function tracingInMemory(): Tracing & { readonly spans: readonly KeptSpan[] } {
  const spans: KeptSpan[] = []
  return {
    spans,
    start: ({ parent, links = [], ...start }) =>
      record(start, parent && parseTraceparent(parent.traceparent), parent?.tracestate, links),
    close: async () => {}
  }

  function record(
    { name, kind, attributes }: SpanStart,
    parent: { readonly traceId: string; readonly spanId: string } | undefined,
    tracestate: string | undefined,
    links: readonly EventTrace[] = []
  ): RecordedSpan {
    const traceId = parent?.traceId ?? randomBytes(16).toString('hex')
    const spanId = randomBytes(8).toString('hex')
    const trace = eventTrace(traceparentOf({ traceId, spanId }), tracestate)
    if (trace === undefined) throw new Error('invalid ids')
    return {
      traceId,
      spanId,
      trace,
      child: start => record(start, { traceId, spanId }, tracestate),
      end: (more, error) => {
        const all = { ...attributes, ...more }
        spans.push({ name, kind, traceId, spanId, parentId: parent?.spanId, links, attributes: all, error })
      }
    }
  }
}
