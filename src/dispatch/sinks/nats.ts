import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager
} from '@nats-io/jetstream'
import { connect, type NatsConnection } from '@nats-io/transport-node'
import { rejectOnAbort } from '../../async/abort.ts'
import { ReportedError } from '../../errors.ts'
import { routingKey } from '../../event-types.ts'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import { isTls, type NatsSettings } from '../../settings/consumers-file.ts'
import { DEFAULT_SOURCE } from '../../settings/sources.ts'
import type { Refused, Sink } from '../sink.ts'
import { hasNoResponders, natsError } from './nats-error.ts'
import { reachableServers } from './nats-reachable.ts'

/** How long the broker may take to say that it has an event, or to greet. */
const ANSWER_TIMEOUT_MS = 10_000
/** A broker that vanished without a goodbye is noticed after two of these. */
const PING_INTERVAL_MS = 5000
const HEADERS_BYTES = 1024

interface Connected {
  readonly connection: NatsConnection
  readonly client: JetStreamClient
  readonly manager: JetStreamManager
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
      const open = await rejectOnAbort(signal, connected())
      const { taken, refused } = sizeUp(events, open.maxPayloadBytes)
      await rejectOnAbort(signal, publishAll(open, taken))
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

  async function publishAll(open: Connected, events: readonly OutgoingEvent[]): Promise<void> {
    const subjectOf = ({ type }: Pick<OutgoingEvent, 'type'>): string =>
      `${settings.subjectPrefix}.${routingKey(type)}`
    const answers = events.map(({ id, source, type, event }) =>
      open.client.publish(subjectOf({ type }), event, {
        // The broker drops by this alone, and ids of different sources may be the same.
        msgID: source === DEFAULT_SOURCE ? id : `${source}/${id}`,
        expect: { streamName: settings.stream },
        timeout: ANSWER_TIMEOUT_MS,
        // A repetition in here would overtake the events behind it.
        retries: 1
      })
    )
    const outcomes = await Promise.allSettled(answers)
    for (const [index, outcome] of outcomes.entries()) {
      const event = events[index]
      if (outcome.status !== 'rejected' || event === undefined) continue
      const why = hasNoResponders(outcome.reason) ? await whyNobodyTakes(open, subjectOf(event)) : undefined
      throw why ?? natsError('NATS did not take every event', outcome.reason)
    }
  }

  /** @returns `undefined` where JetStream itself is what is missing */
  async function whyNobodyTakes({ connection, manager }: Connected, subject: string) {
    const { stream } = settings
    try {
      const { config } = await manager.streams.info(stream)
      return new ReportedError(
        `NATS did not take every event: the stream ${stream} does not take the subject ${subject}, only ${config.subjects?.join(', ') || 'none'}`
      )
    } catch (error) {
      if (!isMissingStream(error)) return undefined
      await connection.close() // The next call connects anew, and makes the stream.
      return natsError(`NATS did not take every event: the stream ${stream}`, error)
    }
  }
}

async function open(settings: NatsSettings, closed: AbortSignal): Promise<Connected> {
  const { servers, user, password, token } = settings
  const awake = await reachableServers(servers, closed, AbortSignal.timeout(ANSWER_TIMEOUT_MS))
  const connecting = connect({
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
  const connection = await orReport('NATS refuses the connection', connecting)
  try {
    const manager = await orReport(
      'JetStream can not be used',
      jetstreamManager(connection, { timeout: ANSWER_TIMEOUT_MS })
    )
    await ensureStream(manager, settings)
    const maxPayloadBytes = (connection.info?.max_payload ?? Number.POSITIVE_INFINITY) - HEADERS_BYTES
    const client = jetstream(connection, { timeout: ANSWER_TIMEOUT_MS })
    return { connection, client, manager, maxPayloadBytes }
  } catch (error) {
    await connection.close()
    throw error
  }
}

/** Makes the stream if it is missing. One that is there is its owner's, whatever it looks like. */
async function ensureStream(manager: JetStreamManager, { stream, subjectPrefix }: NatsSettings) {
  try {
    await manager.streams.info(stream)
  } catch (error) {
    if (!isMissingStream(error)) throw natsError(`the stream ${stream} can not be looked up`, error)
    const subjects = [`${subjectPrefix}.>`]
    await orReport(
      `the stream ${stream} can not be created for the subjects ${subjects}`,
      manager.streams.add({ name: stream, subjects })
    )
  }
}

const isMissingStream = (error: unknown): boolean =>
  error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound

/** What NATS refuses is reported with what was tried. */
async function orReport<T>(failed: string, attempt: Promise<T>): Promise<T> {
  try {
    return await attempt
  } catch (error) {
    throw natsError(failed, error)
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
