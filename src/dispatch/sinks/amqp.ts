import { type ChannelModel, type ConfirmChannel, connect, type SocketOptions } from 'amqplib'
import { socketHost } from '../../address.ts'
import { rejectOnAbort } from '../../async/abort.ts'
import { ReportedError } from '../../errors.ts'
import { routingKey } from '../../event-types.ts'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import type { AmqpSettings } from '../../settings/consumers-file.ts'
import { brokerText } from '../failure.ts'
import { messageIdOf } from '../message-id.ts'
import type { Sink } from '../sink.ts'

/** How long the broker may take to greet, and to confirm events. */
const RESPONSE_TIMEOUT_MS = 10_000
/** A broker that vanished without closing the connection is noticed after two heartbeats. */
const HEARTBEAT_SECONDS = 5
/** How long closing the connection may take. */
const CLOSE_LIMIT_MS = 1500

interface Connected {
  readonly connection: ChannelModel
  readonly channel: ConfirmChannel
  /** Why the broker closed the channel or the connection; `undefined` as long as they are open. */
  readonly closedBy: () => unknown
  /** Why the broker accepts no messages now, in its words; `undefined` while it does. */
  readonly blockedBy: () => string | undefined
  /** Calls that it did not confirm in time, and still may. */
  readonly overdue: Set<Promise<unknown>>
}

/**
 * Publishes to RabbitMQ: durable topic exchange, routing key `<object_type>.<metric>`, persistent messages, `messageId` as
 * of `messageIdOf`. The broker confirms each message; for a durable queue this means that it is on disk. It confirms and
 * drops messages for which no queue is bound: bind queues first.
 *
 * If the connection is lost, pending calls reject, and the next call opens a new one.
 *
 * While memory or disk is low, RabbitMQ keeps the connections of publishers, but does not read from them. What is written
 * meanwhile stays in the memory of this process, and arrives when RabbitMQ reads again. So after a call that was not
 * confirmed in time, nothing is sent on the connection until it is.
 */
export function createAmqpSink(settings: AmqpSettings): Sink {
  let current: { readonly opening: Promise<Connected>; readonly socketAbort: AbortController } | undefined
  let closed = false

  return {
    publish: async (events, signal) => {
      const open = await rejectOnAbort(signal, connected())
      await rejectOnAbort(signal, publishAll(open, events, signal))
      return []
    },
    close: async () => {
      closed = true
      if (current === undefined) return
      const { opening, socketAbort } = current
      const limit = setTimeout(() => socketAbort.abort(), CLOSE_LIMIT_MS)
      const opened = await opening.catch(() => undefined)
      // Without the limit, a broker that no longer answers would block the stop.
      await rejectOnAbort(socketAbort.signal, opened?.connection.close() ?? Promise.resolve()).catch(() => {})
      clearTimeout(limit)
    }
  }

  function connected(): Promise<Connected> {
    if (closed) return Promise.reject(new Error('the sink is closed'))
    if (current === undefined) {
      const forget = (): void => {
        if (current?.opening === opening) current = undefined
      }
      const socketAbort = new AbortController()
      const opening = open(settings, socketAbort.signal, forget)
      current = { opening, socketAbort }
      opening.catch(forget)
    }
    return current.opening
  }

  async function publishAll(
    { channel, closedBy, blockedBy, overdue }: Connected,
    events: readonly OutgoingEvent[],
    signal: AbortSignal
  ): Promise<void> {
    const send = (): Promise<void>[] =>
      events.map(
        outgoing =>
          new Promise<void>((resolve, reject) => {
            const { type, trace } = outgoing
            const content = Buffer.from(outgoing.event)
            const properties = {
              messageId: messageIdOf(outgoing),
              persistent: true,
              contentType: 'application/cloudevents+json',
              type,
              ...(trace && { headers: trace })
            }
            channel.publish(settings.exchange, routingKey(type), content, properties, error => {
              if (error === null || error === undefined) resolve()
              else reject(error)
            })
          })
      )
    let timeout = AbortSignal.timeout(RESPONSE_TIMEOUT_MS)
    let confirmed: Promise<unknown> | undefined
    try {
      await rejectOnAbort(timeout, Promise.allSettled(overdue))
      // Another member may have sent the events in the meantime.
      signal.throwIfAborted()
      // RabbitMQ works again, and gets the whole time. Otherwise the events could be sent again and again.
      timeout = AbortSignal.timeout(RESPONSE_TIMEOUT_MS)
      confirmed = Promise.all(send())
      await rejectOnAbort(timeout, confirmed)
    } catch (error) {
      if (timeout.aborted && confirmed !== undefined) {
        const late = confirmed
        const forget = (): void => void overdue.delete(late)
        overdue.add(late)
        late.then(forget, forget)
      }
      // amqplib rejects what is unconfirmed with an error of its own; the broker's reason comes as an event.
      await new Promise(resolve => setImmediate(resolve))
      const blocked = blockedBy()
      throw amqpError(
        blocked === undefined
          ? 'RabbitMQ did not confirm every event'
          : `RabbitMQ accepts no messages (${blocked})`,
        timeout.aborted ? timeout.reason : (closedBy() ?? error)
      )
    }
  }
}

async function open(
  settings: AmqpSettings,
  socketAbort: AbortSignal,
  onLost: () => void
): Promise<Connected> {
  const url = new URL(settings.url)
  const { port, protocol, pathname } = url
  const vhost = pathname.length <= 1 ? '/' : decodeURIComponent(pathname.slice(1))
  const connecting = connect(
    {
      protocol: protocol.slice(0, -1),
      hostname: socketHost(url),
      ...(port === '' ? {} : { port: Number(port) }),
      vhost,
      ...(settings.username === undefined || settings.password === undefined
        ? {}
        : { username: settings.username, password: settings.password.reveal() }),
      heartbeat: HEARTBEAT_SECONDS
    },
    socketOptions(socketAbort)
  )
  const connection = await connecting.catch((error: unknown) => {
    const failed = `RabbitMQ refuses the connection to the virtual host ${vhost}`
    if (!isVirtualHostRefused(error)) throw amqpError(failed, error)
    const why = 'it does not exist, or is not permitted to the user'
    throw new ReportedError(`${failed}: ${why}`, { cause: error })
  })
  let closedBy: unknown
  // The error reaches the caller of `publish`. Without a listener it would crash the process.
  connection.on('error', error => {
    closedBy ??= error
    onLost()
  })
  connection.on('close', onLost)
  let blockedBy: string | undefined
  connection.on('blocked', (reason: string) => {
    blockedBy = brokerText(new Error(reason))
  })
  connection.on('unblocked', () => {
    blockedBy = undefined
  })
  try {
    const channel = await connection.createConfirmChannel()
    const lost = (): void => {
      onLost()
      connection.close().catch(() => {})
    }
    channel.on('error', error => {
      closedBy ??= error
      lost()
    })
    channel.on('close', lost)
    const { exchange } = settings
    await orReport(
      `the exchange ${exchange} cannot be declared`,
      channel.assertExchange(exchange, 'topic', { durable: true })
    )
    return {
      connection,
      channel,
      closedBy: () => closedBy,
      blockedBy: () => blockedBy,
      overdue: new Set()
    }
  } catch (error) {
    await connection.close().catch(() => {})
    throw error
  }
}

/** RabbitMQ closes the connection in response to `connection.open`. amqplib drops the reason, which it has read. */
const isVirtualHostRefused = (error: unknown): boolean =>
  error instanceof Error && error.message.startsWith('Expected ConnectionOpenOk; got <ConnectionClose')

/** Adds to an error of RabbitMQ what failed. */
async function orReport<T>(failed: string, attempt: PromiseLike<T>): Promise<T> {
  try {
    return await attempt
  } catch (error) {
    throw amqpError(failed, error)
  }
}

const amqpError = (failed: string, cause: unknown): ReportedError =>
  new ReportedError(`${failed}: ${brokerText(cause)}`, { cause })

/** `signal` is an option of node:net that amqplib passes on, but does not declare. */
function socketOptions(socketAbort: AbortSignal): SocketOptions & { readonly signal: AbortSignal } {
  return {
    signal: socketAbort,
    timeout: RESPONSE_TIMEOUT_MS,
    noDelay: true,
    clientProperties: { connection_name: 'cio-webhook' }
  }
}
