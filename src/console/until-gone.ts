// Tested by test/console/pages/events.slow.test.ts.
import type { FastifyReply } from 'fastify'

/** Aborts when the connection closes: the client no longer waits for the answer. */
export function untilGone({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController()
  if (raw.closed) gone.abort()
  raw.once('close', () => gone.abort())
  return gone.signal
}
