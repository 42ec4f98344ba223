import type { ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { createPollingLoop } from '../async/poll.ts'
import type { Role } from './access.ts'
import { ConsoleError } from './console-error.ts'
import type { Html } from './html.ts'

/** Open streams of all pages together. */
const MAX_STREAMS = 50
const INTERVAL_MS = 2000
/** A proxy closes a connection that is silent for a minute. */
const HEARTBEAT_MS = 15_000
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
}

/** @param onError receives what `render` rejects with; the streams stay open, and the next run tries again */
export function createLiveUpdates(app: FastifyInstance, onError: (error: unknown) => void): LiveUpdates {
  let open = 0

  return { route }

  function route(path: string, access: Role, render: () => Promise<Html>): void {
    const streams = new Set<ServerResponse>()
    let latest = ''
    let sentAtMs = 0
    const loop = createPollingLoop(update, INTERVAL_MS, onError)
    loop.start()
    app.addHook('preClose', async () => {
      void loop.stop() // not awaited: a Redis that hangs must not delay the shutdown
      for (const stream of streams) stream.end()
    })

    app.get(path, { config: { access } }, (_request, reply) => {
      if (open >= MAX_STREAMS) {
        throw new ConsoleError(
          503,
          'Too many live pages',
          `At most ${MAX_STREAMS} live pages can be open at once.`
        )
      }
      open++
      reply.hijack()
      const stream = reply.raw
      stream.on('error', () => {}) // the browser has gone
      const timer = setTimeout(() => stream.end(), MAX_STREAM_MS).unref()
      stream.once('close', () => {
        clearTimeout(timer)
        streams.delete(stream)
        open--
      })
      const headers = Object.entries(reply.getHeaders()).map(([name, value]) => [name, String(value)])
      stream.writeHead(200, {
        ...Object.fromEntries(headers),
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no' // nginx would keep events back
      })
      stream.flushHeaders()
      streams.add(stream)
      latest = '' // the next run sends the whole part, also to this stream
    })

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
