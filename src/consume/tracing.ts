// Tested by test/consume/tracing.test.ts.
import { eventTrace, parseTraceparent, type SpanId } from '../trace-context.ts'
import type { CustomerEvent } from './events.ts'

/** Runs an attempt, and rejects as it does; for an event of a recorded trace, in the context of a span. */
export type RunInSpan = <T>(event: CustomerEvent, attempt: number, work: () => Promise<T>) => Promise<T>

/** Continues the traces of events, if the user's program has OpenTelemetry. */
export function processSpans(group: string): RunInSpan {
  const found = findApi()
  return (event, attempt, work) => {
    const own = eventTrace(event.traceparent, event.tracestate)
    const appended = own && parseTraceparent(own.traceparent)
    if (appended === undefined) return work()
    return found.then(api =>
      api === undefined ? work() : runInSpan(api, appended, own?.tracestate, event, attempt, work)
    )
  }

  function runInSpan<T>(
    { context, createTraceState, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace }: Api,
    appended: SpanId,
    tracestate: string | undefined,
    event: CustomerEvent,
    attempt: number,
    work: () => Promise<T>
  ): Promise<T> {
    const traceState = tracestate === undefined ? undefined : createTraceState(tracestate)
    const spanContext = { ...appended, isRemote: true, ...(traceState && { traceState }) }
    const parent = trace.setSpanContext(ROOT_CONTEXT, spanContext)
    const attributes = {
      'messaging.system.name': 'redis',
      'messaging.operation.name': 'process',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'events',
      'messaging.consumer.group.name': group,
      'messaging.message.id': event.id,
      'cloudevents.event_id': event.id,
      'cloudevents.event_type': event.type,
      'cio.attempt': attempt
    }
    const options = { kind: SpanKind.CONSUMER, attributes, links: [{ context: spanContext }] }
    const span = trace.getTracer('cio-webhook-consumer').startSpan(`process ${group}`, options, parent)
    const ended = context.with(trace.setSpan(parent, span), work)
    ended.then(
      () => span.end(),
      (error: unknown) => {
        // Its message could be personal.
        span.setAttribute('error.type', error instanceof Error ? error.name : typeof error)
        span.setStatus({ code: SpanStatusCode.ERROR })
        span.end()
      }
    )
    return ended
  }
}

type Api = NonNullable<Awaited<ReturnType<typeof findApi>>>

/** @returns `undefined` if the package, which is an optional peer, is not installed */
async function findApi() {
  try {
    return await import('@opentelemetry/api')
  } catch {
    return undefined
  }
}
