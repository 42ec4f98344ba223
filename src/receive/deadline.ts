import type { FastifyReply } from 'fastify'

/** Answers deliveries that would otherwise be answered too late. */
export interface Deadline {
  start(reply: FastifyReply): void
  done(reply: FastifyReply): void
  /** Ends its timer. */
  close(): void
}

/** How late a delivery can be noticed. */
const CHECK_INTERVAL_MS = 50
/** Given to an answer that is nearly there, when a busy event loop made it late. */
const GRACE_MS = 50

/**
 * One timer for all deliveries. Fastify's own `handlerTimeout` makes a timer and an AbortController for each, and
 * aborts it at the end of every request: a fifth of what a delivery costs.
 *
 * Timers run before input is read. After a turn of the event loop that took long, Redis' reply can lie in the socket
 * while the delivery is due already. So a delivery that is due gets its grace, and then one more look at the sockets:
 * an answer that is ready wins.
 *
 * @param afterMs the same for all, so the oldest is always the first that is due
 * @param answer answers a delivery that is late
 */
export function createDeadline(afterMs: number, answer: (reply: FastifyReply) => void): Deadline {
  const inFlight = new Map<FastifyReply, number>()
  const timer = setInterval(() => {
    const due = performance.now() - afterMs
    for (const [reply, startedMs] of inFlight) {
      if (startedMs > due) return
      inFlight.delete(reply)
      // Immediates run after input was read.
      setTimeout(() => setImmediate(() => reply.sent || answer(reply)), GRACE_MS).unref()
    }
  }, CHECK_INTERVAL_MS)
  timer.unref()
  return {
    start: reply => void inFlight.set(reply, performance.now()),
    done: reply => void inFlight.delete(reply),
    close: () => clearInterval(timer)
  }
}
