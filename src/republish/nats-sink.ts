import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  jetstream,
  jetstreamManager
} from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { DEFAULT_SOURCE } from '../config/sources.ts'
import { isTls, type NatsSettings } from './consumers-file.ts'
import { awakeServers } from './nats-greeting.ts'
import { routingKey } from './routing.ts'
import type { OutgoingEvent, Refused, Sink } from './sink.ts'
import { unlessAborted } from './unless-aborted.ts'

/** How long the broker may take to say that it has an event, or to greet. */
const ANSWER_TIMEOUT_MS = 10_000
/** A broker that vanished without a goodbye is noticed after two of these. */
const PING_INTERVAL_MS = 5000
const HEADERS_BYTES = 1024

interface Connected {
  readonly connection: NatsConnection
  readonly client: JetStreamClient
  readonly maxPayloadBytes: number
}

/**
 * A bridge to NATS JetStream: subject `<prefix>.<object_type>.<metric>`, `Nats-Msg-Id` = event id, so that the
 * broker drops what it was given twice within its duplicate window.
 *
 * All events of a call are on their way at once and acknowledged by the broker one by one, in order. When one
 * of them is not, the whole call is repeated by the caller; those the broker has are duplicates then.
 *
 * The connection does not mend itself: when it is lost, what waits for an answer rejects at once, and the next
 * call opens another. So nothing is sent behind the caller's back.
 */
export function createNatsSink(settings: NatsSettings): Sink {
  let current: Promise<Connected> | undefined
  const closed = new AbortController()

  return {
    publish: async (events, signal) => {
      const { client, maxPayloadBytes } = await unlessAborted(signal, connected())
      const { taken, refused } = sizeUp(events, maxPayloadBytes)
      await unlessAborted(signal, publishAll(client, taken))
      return refused
    },
    close: async () => {
      closed.abort()
      const open = await current?.catch(() => undefined)
      await open?.connection.close()
    }
  }

  function connected(): Promise<Connected> {
    if (closed.signal.aborted) return Promise.reject(new Error('the sink is closed'))
    const opening = current ?? open(settings, closed.signal)
    if (current === undefined) {
      current = opening
      const forget = (): void => {
        if (current === opening) current = undefined
      }
      opening.then(({ connection }) => connection.closed().then(forget, forget), forget)
    }
    return opening
  }

  async function publishAll(client: JetStreamClient, events: readonly OutgoingEvent[]): Promise<void> {
    const answers = events.map(({ id, source, type, event }) =>
      client.publish(`${settings.subjectPrefix}.${routingKey(type)}`, event, {
        // The broker drops by this alone, and ids of different sources may be the same.
        msgID: source === DEFAULT_SOURCE ? id : `${source}/${id}`,
        expect: { streamName: settings.stream },
        timeout: ANSWER_TIMEOUT_MS,
        // A repetition in here would overtake the events behind it.
        retries: 1
      })
    )
    const outcomes = await Promise.allSettled(answers)
    const failed = outcomes.find(outcome => outcome.status === 'rejected')
    if (failed !== undefined) throw new Error('NATS did not take every event', { cause: failed.reason })
  }
}

async function open(settings: NatsSettings, closed: AbortSignal): Promise<Connected> {
  const { servers, user, password, token } = settings
  const awake = await awakeServers(servers, closed, AbortSignal.timeout(ANSWER_TIMEOUT_MS))
  const connection = await connect({
    servers: [...awake],
    name: 'cio-webhook',
    reconnect: false,
    timeout: ANSWER_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: 2,
    // By itself the client takes `tls://` for a name, and sends its password in the clear where a server offers no TLS.
    ...(servers.some(isTls) ? { tls: {} } : {}),
    ...(user === undefined || password === undefined ? {} : { user, pass: password.reveal() }),
    ...(token === undefined ? {} : { token: token.reveal() })
  })
  try {
    await ensureStream(connection, settings)
  } catch (error) {
    await connection.close()
    throw error
  }
  const maxPayloadBytes = (connection.info?.max_payload ?? Number.POSITIVE_INFINITY) - HEADERS_BYTES
  return { connection, client: jetstream(connection, { timeout: ANSWER_TIMEOUT_MS }), maxPayloadBytes }
}

/** Makes the stream if it is missing. One that is there is its owner's, whatever it looks like. */
async function ensureStream(connection: NatsConnection, { stream, subjectPrefix }: NatsSettings) {
  const manager = await jetstreamManager(connection, { timeout: ANSWER_TIMEOUT_MS })
  try {
    await manager.streams.info(stream)
  } catch (error) {
    if (!(error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound)) throw error
    await manager.streams.add({ name: stream, subjects: [`${subjectPrefix}.>`] })
  }
}

/** An event larger than the broker takes would be refused for ever. */
function sizeUp(events: readonly OutgoingEvent[], maxBytes: number) {
  const taken: OutgoingEvent[] = []
  const refused: Refused[] = []
  for (const event of events) {
    if (Buffer.byteLength(event.event) <= maxBytes) taken.push(event)
    else refused.push({ event, reason: 'larger than the broker takes (max_payload)' })
  }
  return { taken, refused }
}
