import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { createPollingLoop } from '../async/poll.ts'
import { ConsoleError } from './console-error.ts'
import type { EndedSessions } from './ended-sessions.ts'
import type { Html } from './html.ts'
import { type Role, sessionOf } from './sessions.ts'

/** Open streams of all pages together. */
const MAX_STREAMS = 50
const INTERVAL_MS = 2000
/** A proxy closes a connection that is silent for a minute. */
const HEARTBEAT_MS = 15_000
/** How often it is looked up whether a session was logged out at another replica. */
const SESSION_CHECK_MS = 5000
/** Then the browser connects again, and its access is checked again. */
const MAX_STREAM_MS = 10 * 60 * 1000
/** A browser that reads nothing must not fill our memory. */
const MAX_UNREAD_BYTES = 256 * 1024

export interface LiveUpdates {
  /**
   * Adds a stream of server-sent events: the HTML of a part of a page, whenever it has changed. It is rendered once
   * for all who look at it, and not at all if nobody does.
   *
   * @param render must not depend on the person
   */
  route(path: string, access: Role, render: () => Promise<Html>): void
  /**
   * Answers a request with such a stream, for one reader: for parts that depend on the address of the page.
   *
   * @throws ConsoleError if too many streams are open
   */
  stream(reply: FastifyReply, render: () => Promise<Html>): void
  /** Ends the streams of a session. Those at other replicas end by themselves, within some seconds of the log-out. */
  endSession(id: string): void
}

/** @param onError receives what `render` rejects with; the streams stay open, and the next run tries again */
export function createLiveUpdates(
  app: FastifyInstance,
  endedSessions: EndedSessions,
  onError: (error: unknown) => void
): LiveUpdates {
  /** With the session that each belongs to; `undefined` where people do not log in here. */
  const all = new Map<ServerResponse, string | undefined>()
  const sessionCheck = createPollingLoop(endEnded, SESSION_CHECK_MS, onError)
  sessionCheck.start()
  app.addHook('preClose', async () => {
    void sessionCheck.stop()
    for (const stream of all.keys()) stream.end()
  })
  return { route, stream, endSession }

  async function endEnded(): Promise<void> {
    for (const id of new Set(all.values())) {
      if (id !== undefined && (await endedSessions.isEnded(id)) === true) endSession(id)
    }
  }

  function endSession(id: string): void {
    for (const [stream, session] of all) if (session === id) stream.end()
  }

  function route(path: string, access: Role, render: () => Promise<Html>): void {
    const streams = new Set<ServerResponse>()
    const updates = createUpdates(streams, render)
    updates.loop.start()
    app.addHook('preClose', async () => {
      void updates.loop.stop() // not awaited: a Redis that hangs must not delay the shutdown
    })
    app.get(path, { config: { access } }, (_request, reply) => {
      const stream = openStream(reply)
      if (stream === undefined) return
      stream.once('close', () => streams.delete(stream))
      streams.add(stream)
      updates.sendWhole() // also to this stream
    })
  }

  function stream(reply: FastifyReply, render: () => Promise<Html>): void {
    const stream = openStream(reply)
    if (stream === undefined) return
    const { loop } = createUpdates(new Set([stream]), render)
    stream.once('close', () => void loop.stop())
    loop.start()
  }

  /** @returns `undefined` if the browser has gone: its `close` came before, so nothing would end the stream */
  function openStream(reply: FastifyReply): ServerResponse | undefined {
    if (reply.raw.closed) {
      reply.hijack()
      return undefined
    }
    if (all.size >= MAX_STREAMS) {
      throw new ConsoleError(
        503,
        'Too many live pages',
        `At most ${MAX_STREAMS} live pages can be open at once. Close some, then try again.`
      )
    }
    reply.hijack()
    const stream = reply.raw
    all.set(stream, sessionOf(reply.request)?.id)
    stream.on('error', () => {}) // the browser has gone
    const timer = setTimeout(() => stream.end(), MAX_STREAM_MS).unref()
    stream.once('close', () => {
      clearTimeout(timer)
      all.delete(stream)
    })
    const headers = Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)])
    stream.writeHead(200, {
      ...Object.fromEntries(headers),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no' // nginx would keep events back
    })
    stream.flushHeaders()
    return stream
  }

  function createUpdates(streams: ReadonlySet<ServerResponse>, render: () => Promise<Html>) {
    let latest = ''
    let sentAtMs = 0
    const loop = createPollingLoop(update, INTERVAL_MS, onError)
    return {
      loop,
      sendWhole: (): void => {
        latest = ''
      }
    }

    async function update(): Promise<void> {
      if (streams.size === 0) return
      const { text } = await render()
      const isHeartbeatDue = Date.now() - sentAtMs > HEARTBEAT_MS
      if (text === latest && !isHeartbeatDue) return
      const message = text === latest ? ':\n\n' : `${text.replace(/^/gm, 'data: ')}\n\n`
      latest = text
      sentAtMs = Date.now()
      for (const stream of streams) {
        if (stream.writableLength > MAX_UNREAD_BYTES) stream.destroy()
        else stream.write(message)
      }
    }
  }
}
