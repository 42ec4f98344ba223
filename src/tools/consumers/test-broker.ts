// Tested by test/cli/consumers/test.slow.test.ts.
import { reasonOf } from '../../dispatch/failure.ts'
import type { Sink } from '../../dispatch/sink.ts'
import { createAmqpSink } from '../../dispatch/sinks/amqp.ts'
import { createNatsSink } from '../../dispatch/sinks/nats.ts'
import { routingKey } from '../../event-types.ts'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import type { AmqpSettings, NatsSettings } from '../../settings/consumers-file.ts'
import { brokerFix } from './test-fix.ts'

export interface BrokerExchange {
  readonly kind: 'nats' | 'amqp'
  readonly accepted: boolean
  /** Addresses, and how the service logs in, without a secret. */
  readonly connection: string
  /** The subject, or the exchange and the routing key. */
  readonly destination: string
  readonly body: string
  /** What the broker confirmed. */
  readonly confirmation?: string
  /** Why it was not accepted, with the broker's code. */
  readonly failure?: string
  /** The likely remedy. */
  readonly fix?: string
  readonly durationMs: number
}

/** Longer than the brokers' own limits of 10 s for the connection and for the confirmation. */
const LIMIT_MS = 25_000

/** Publishes one event exactly as the dispatcher does. Never rejects. */
export async function testBroker(
  settings: NatsSettings | AmqpSettings,
  event: OutgoingEvent
): Promise<BrokerExchange> {
  const about = { ...target(settings, routingKey(event.type)), kind: settings.type, body: event.event }
  const sink: Sink = settings.type === 'nats' ? createNatsSink(settings) : createAmqpSink(settings)
  const startedMs = performance.now()
  const durationMs = (): number => Math.round(performance.now() - startedMs)
  try {
    const [refused] = await sink.publish([event], AbortSignal.timeout(LIMIT_MS))
    if (refused !== undefined) {
      return { ...about, accepted: false, failure: refused.reason, durationMs: durationMs() }
    }
    return { ...about, accepted: true, confirmation: confirmation(settings), durationMs: durationMs() }
  } catch (error) {
    const failure = reasonOf(error)
    return {
      ...about,
      accepted: false,
      failure,
      fix: brokerFix(failure, settings.type),
      durationMs: durationMs()
    }
  } finally {
    await sink.close()
  }
}

function target(settings: NatsSettings | AmqpSettings, key: string) {
  if (settings.type === 'amqp') {
    return {
      connection: `${settings.url} as ${settings.username ?? 'guest'}`,
      destination: `exchange ${settings.exchange}, routing key ${key}`
    }
  }
  const { servers, user, token, subjectPrefix } = settings
  const login = user ?? (token === undefined ? 'without login' : 'a token')
  return {
    connection: `${servers.join(', ')} ${user === undefined && token === undefined ? login : `as ${login}`}`,
    destination: `subject ${subjectPrefix}.${key}`
  }
}

const confirmation = (settings: NatsSettings | AmqpSettings): string =>
  settings.type === 'nats'
    ? `acknowledged by JetStream, stream ${settings.stream}`
    : 'confirmed by the broker. It also confirms messages for which no queue is bound, and drops them'
