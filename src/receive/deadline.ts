import type { FastifyReply } from 'fastify'

/** Answers deliveries that would otherwise be answered too late (law 7). */
export interface Deadline {
  start(reply: FastifyReply): void
  done(reply: FastifyReply): void
  /** Stops the timer. */
  close(): void
}

/** A late delivery is noticed at most this long after its deadline. */
const CHECK_INTERVAL_MS = 50
/** For an answer that is almost ready, when a busy event loop made it late. */
const GRACE_MS = 50

/**
 * One timer for all deliveries. Fastify's `handlerTimeout` creates a timer and an AbortController for each request,
 * which takes a fifth of the CPU time of a delivery.
 *
 * Timers run before input is read: after a long turn of the event loop, the reply of Redis can be in the socket when the
 * deadline passes. So the grace time passes and the sockets are read once more, and an answer that is ready is sent.
 *
 * @param afterMs the same for all deliveries, so the oldest one is always due first
 * @param answer answers a delivery that is late
 */
export function createDeadline(afterMs: number, answer: (reply: FastifyReply) => void): Deadline {
  const inFlight = new Map<FastifyReply, number>()
  let timer: NodeJS.Timeout | undefined
  return {
    start: reply => {
      inFlight.set(reply, performance.now())
      timer ??= setInterval(check, CHECK_INTERVAL_MS).unref()
    },
    done: reply => void inFlight.delete(reply),
    close: stop
  }

  function check(): void {
    // Otherwise the timer would wake up an idle process 20 times per second.
    if (inFlight.size === 0) stop()
    const due = performance.now() - afterMs
    for (const [reply, startedMs] of inFlight) {
      if (startedMs > due) return
      inFlight.delete(reply)
      setTimeout(() => setImmediate(() => reply.sent || answer(reply)), GRACE_MS).unref()
    }
  }

  function stop(): void {
    clearInterval(timer)
    timer = undefined
  }
}
