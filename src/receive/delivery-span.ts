// Tested by test/receive/delivery-span.slow.test.ts and test/ops/tracing.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import { UnavailableError } from '../errors.ts'
import type { AppendOutcome } from '../log/append.ts'
import type { LogEntry } from '../log/log-entry.ts'
import type { Outcome } from '../ops/outcomes.ts'
import type { RecordedSpan, RemoteParent, Tracing } from '../ops/spans.ts'
import { DEFAULT_SOURCE, type Source } from '../settings/sources.ts'
import type { Delivery } from './delivery.ts'

/**
 * The span of a delivery whose signature is valid. Others have none: without a key nobody can make this service record
 * or send anything.
 *
 * @param isFromProxy whether the request comes from a trusted proxy. Only then its `traceparent` is continued: Customer.io
 *   sends none, and that of anybody else would decide what is recorded
 */
export function startDeliverySpan(
  tracing: Tracing,
  path: string,
  { headers }: Pick<FastifyRequest, 'headers'>,
  { source, startedMs }: Pick<Delivery, 'source' | 'startedMs'>,
  isFromProxy: boolean
): RecordedSpan | undefined {
  const isDefault = source.name === DEFAULT_SOURCE
  const route = isDefault ? path : `${path}/:source`
  return tracing.start({
    name: `POST ${route}`,
    kind: 'server',
    startedMs,
    parent: isFromProxy ? parentOf(headers, source) : undefined,
    attributes: {
      'http.request.method': 'POST',
      'http.route': route,
      'url.path': isDefault ? path : `${path}/${source.name}`,
      'url.scheme': 'http',
      'cio.source': source.name
    }
  })
}

function parentOf(headers: FastifyRequest['headers'], { sanitizer }: Source): RemoteParent | undefined {
  const { traceparent, tracestate } = headers
  if (typeof traceparent !== 'string') return undefined
  const isClean = typeof tracestate === 'string' && sanitizer.maskId(tracestate) === tracestate
  // Free text that the log would keep: nothing personal gets into it.
  return isClean ? { traceparent, tracestate } : { traceparent }
}

export function endDeliverySpan(
  span: RecordedSpan,
  { id, type, reason, parked }: Pick<Delivery, 'id' | 'type' | 'reason' | 'parked'>,
  outcome: Outcome,
  status: number
): void {
  const attributes = {
    'http.response.status_code': status,
    'cio.outcome': outcome,
    'cio.reason': reason ?? parked,
    'cloudevents.event_id': id,
    'cloudevents.event_type': type
  }
  span.end(attributes, status >= 500 ? (reason ?? String(status)) : undefined)
}

/** The span of an entry on its way into the log: sanitized, and appended in a call of Redis that it shares with others. */
export const startAppendSpan = (
  delivery: RecordedSpan,
  { id, type, parked }: Pick<LogEntry, 'id' | 'type' | 'parked'>
): RecordedSpan | undefined =>
  delivery.child({
    name: `append ${parked === undefined ? 'events' : 'parked'}`,
    kind: 'producer',
    attributes: {
      'messaging.system.name': 'redis',
      'messaging.operation.name': 'append',
      'messaging.operation.type': 'send',
      'messaging.destination.name': parked === undefined ? 'events' : 'parked',
      'messaging.message.id': id,
      'cloudevents.event_id': id,
      'cloudevents.event_type': type
    }
  })

/** Ends the span when the append has ended, and leaves the result to the caller. */
export function endWithAppend(span: RecordedSpan, appended: Promise<AppendOutcome>): Promise<AppendOutcome> {
  appended.then(
    outcome => span.end({ 'cio.outcome': outcome }),
    (error: unknown) => span.end({}, reasonOf(error))
  )
  return appended
}

const reasonOf = (error: unknown): string =>
  error instanceof UnavailableError ? error.reason : 'not_appended'
