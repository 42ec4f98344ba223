// Tested by test/dispatch/send-span.test.ts and test/ops/tracing.slow.test.ts.
import type { OutgoingEvent } from '../group/outgoing-event.ts'
import type { RecordedSpan, SpanAttributes, Tracing } from '../ops/spans.ts'
import type { AmqpSettings, NatsSettings } from '../settings/consumers-file.ts'
import type { HttpSettings } from '../settings/http-consumer.ts'

/**
 * The span of one attempt to push an event over HTTP: a part of the event's trace, and linked to the append.
 *
 * @returns `undefined` if the trace of the event is not recorded
 */
export function startPushSpan(
  tracing: Tracing,
  { name, url }: Pick<HttpSettings, 'name' | 'url'>,
  { id, type, trace }: Pick<OutgoingEvent, 'id' | 'type' | 'trace'>,
  attempt: number
): RecordedSpan | undefined {
  if (trace === undefined) return undefined
  const { hostname, port, protocol } = new URL(url)
  return tracing.start({
    name: `send ${name}`,
    kind: 'client',
    parent: trace,
    links: [trace],
    attributes: {
      ...sending('http', name),
      'messaging.message.id': id,
      'cloudevents.event_id': id,
      'cloudevents.event_type': type,
      'http.request.method': 'POST',
      'http.request.resend_count': attempt > 1 ? attempt - 1 : undefined,
      'server.address': hostname,
      'server.port': Number(port) || (protocol === 'https:' ? 443 : 80)
    }
  })
}

/**
 * The span of one batch for a broker: linked to the append of each event that is recorded, and in the trace of the first
 * of them, so that it is recorded with it, whatever the sampler does with new traces.
 *
 * @returns `undefined` if no trace of these events is recorded
 */
export function startBatchSpan(
  tracing: Tracing,
  { name, type }: Pick<NatsSettings | AmqpSettings, 'name' | 'type'>,
  events: readonly Pick<OutgoingEvent, 'trace'>[]
): RecordedSpan | undefined {
  const links = events.flatMap(({ trace }) => (trace === undefined ? [] : [trace]))
  if (links.length === 0) return undefined
  return tracing.start({
    name: `send ${name}`,
    kind: 'producer',
    parent: links[0],
    links,
    attributes: {
      ...sending(type === 'amqp' ? 'rabbitmq' : type, name),
      'messaging.batch.message_count': events.length
    }
  })
}

/** @param consumer the destination, by its name in `CONSUMERS_FILE` */
const sending = (system: string, consumer: string): SpanAttributes => ({
  'messaging.system.name': system,
  'messaging.operation.name': 'send',
  'messaging.operation.type': 'send',
  'messaging.destination.name': consumer
})
