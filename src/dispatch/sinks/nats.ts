import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  PubHeaders,
  type StreamConfig
} from '@nats-io/jetstream'
import {
  connect,
  headers,
  type MsgHdrs,
  type NatsConnection,
  NoRespondersError
} from '@nats-io/transport-node'
import { rejectOnAbort } from '../../async/abort.ts'
import { ReportedError } from '../../errors.ts'
import { routingKey } from '../../event-types.ts'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import { isTls, type NatsSettings } from '../../settings/consumers-file.ts'
import { messageIdOf } from '../message-id.ts'
import type { Refused, Sink } from '../sink.ts'
import { natsError } from './nats-error.ts'
import { createNatsPublisher, type NatsPublisher } from './nats-publisher.ts'
import { reachableServers } from './nats-reachable.ts'

/** How long the broker may take to greet, and to acknowledge an event. */
const RESPONSE_TIMEOUT_MS = 10_000
/** A broker that vanished without closing the connection is noticed after two intervals. */
const PING_INTERVAL_MS = 5000
/** More than our headers take, of which a trace can have 600 bytes. */
const HEADERS_BYTES = 2048
/** JetStream's code for a message that is larger than `max_msg_size` of the stream. */
const LARGER_THAN_STREAM_ALLOWS = 10054

interface Connected {
  readonly connection: NatsConnection
  readonly publisher: NatsPublisher
  readonly manager: JetStreamManager
  readonly limit: SizeLimit
}

/** The most that an event with its headers may have. */
interface SizeLimit {
  readonly bytes: number
  readonly setting: string
}

/**
 * Publishes to NATS JetStream: subject `<prefix>.<object_type>.<metric>`, `Nats-Msg-Id` as of `messageIdOf`. The broker
 * drops duplicates within its duplicate window.
 *
 * The events of a call are sent at once; the broker acknowledges each of them. If it does not, the caller repeats the
 * whole call, and the broker drops the events that it has already.
 *
 * The client does not reconnect by itself: if the connection is lost, pending calls reject at once, and the next call
 * opens a new one. So nothing is sent without the caller's knowledge.
 */
export function createNatsSink(settings: NatsSettings): Sink {
  let current: Promise<Connected> | undefined
  const closed = new AbortController()

  return {
    publish: async (events, signal) => {
      const open = await rejectOnAbort(signal, connected())
      const { fitting, refused } = splitBySize(events, open.limit, headersOf)
      await rejectOnAbort(signal, publishAll(open, fitting))
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
    const messages = events.map(event => ({
      subject: `${settings.subjectPrefix}.${routingKey(event.type)}`,
      payload: event.event,
      headers: headersOf(event)
    }))
    try {
      await open.publisher.publish(messages, RESPONSE_TIMEOUT_MS)
    } catch (error) {
      // The limit was lowered. The next call opens a new connection, and reads it.
      if (error instanceof JetStreamApiError && error.code === LARGER_THAN_STREAM_ALLOWS) {
        await open.connection.close()
      }
      const why =
        error instanceof NoRespondersError ? await explainNoResponders(open, error.subject) : undefined
      throw why ?? natsError('NATS did not accept every event', error)
    }
  }

  function headersOf(event: OutgoingEvent): MsgHdrs {
    const { trace } = event
    const own = headers()
    // The broker drops duplicates by this alone.
    own.set(PubHeaders.MsgIdHdr, messageIdOf(event))
    own.set(PubHeaders.ExpectedStreamHdr, settings.stream)
    if (trace !== undefined) for (const [name, value] of Object.entries(trace)) own.set(name, value)
    return own
  }

  /** @returns `undefined` if JetStream itself is missing */
  async function explainNoResponders({ connection, manager }: Connected, subject: string) {
    const { stream } = settings
    try {
      const { config } = await manager.streams.info(stream)
      return new ReportedError(
        `NATS did not accept every event: the stream ${stream} does not have the subject ${subject}, only ${config.subjects?.join(', ') || 'none'}`
      )
    } catch (error) {
      if (!isMissingStream(error)) return undefined
      // The next call opens a new connection, and creates the stream.
      await connection.close()
      return natsError(`NATS did not accept every event: the stream ${stream}`, error)
    }
  }
}

async function open(settings: NatsSettings, closed: AbortSignal): Promise<Connected> {
  const { servers, user, password, token } = settings
  const reachable = await reachableServers(servers, closed, AbortSignal.timeout(RESPONSE_TIMEOUT_MS))
  const connecting = connect({
    servers: [...reachable],
    name: 'cio-webhook',
    reconnect: false,
    timeout: RESPONSE_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: 2,
    // Without this the client ignores `tls://`, and sends the password unencrypted if the server offers no TLS.
    ...(servers.some(isTls) ? { tls: {} } : {}),
    ...(user === undefined || password === undefined ? {} : { user, pass: password.reveal() }),
    ...(token === undefined ? {} : { token: token.reveal() })
  })
  // A server that greets and then is silent must not delay the stop of the service.
  const closeLate = async (late: NatsConnection): Promise<void> => {
    if (closed.aborted) await late.close()
  }
  connecting.then(closeLate).catch(() => {})
  const connection = await orReport('NATS refuses the connection', rejectOnAbort(closed, connecting))
  try {
    const manager = await orReport(
      'JetStream cannot be used',
      rejectOnAbort(closed, jetstreamManager(connection, { timeout: RESPONSE_TIMEOUT_MS }))
    )
    const { max_msg_size: ofStream } = await rejectOnAbort(closed, ensureStream(manager, settings))
    const ofServer = connection.info?.max_payload ?? Number.POSITIVE_INFINITY
    // A stream without a limit has -1.
    const limit: SizeLimit =
      ofStream > 0 && ofStream < ofServer
        ? { bytes: ofStream, setting: 'max_msg_size of the stream' }
        : { bytes: ofServer, setting: 'max_payload' }
    return { connection, publisher: createNatsPublisher(connection), manager, limit }
  } catch (error) {
    await connection.close()
    throw error
  }
}

/** Creates the stream if it is missing. An existing stream is never altered. */
async function ensureStream(
  manager: JetStreamManager,
  { stream, subjectPrefix }: NatsSettings
): Promise<StreamConfig> {
  try {
    return (await manager.streams.info(stream)).config
  } catch (error) {
    if (!isMissingStream(error)) throw natsError(`the stream ${stream} cannot be looked up`, error)
    const subjects = [`${subjectPrefix}.>`]
    const { config } = await orReport(
      `the stream ${stream} cannot be created for the subjects ${subjects}`,
      manager.streams.add({ name: stream, subjects })
    )
    return config
  }
}

const isMissingStream = (error: unknown): boolean =>
  error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound

/** Adds to an error of NATS what failed. */
async function orReport<T>(failed: string, attempt: Promise<T>): Promise<T> {
  try {
    return await attempt
  } catch (error) {
    throw natsError(failed, error)
  }
}

/** The broker would reject an event that is too large again and again. */
function splitBySize(
  events: readonly OutgoingEvent[],
  { bytes, setting }: SizeLimit,
  headersOf: (event: OutgoingEvent) => MsgHdrs
) {
  const fitting: OutgoingEvent[] = []
  const refused: Refused[] = []
  for (const event of events) {
    const left = bytes - Buffer.byteLength(event.event)
    // Headers are written a second time only where they decide.
    if (left >= HEADERS_BYTES || left >= Buffer.byteLength(String(headersOf(event)))) fitting.push(event)
    else refused.push({ event, reason: `larger than the broker accepts (${setting})` })
  }
  return { fitting, refused }
}
