// Tested by test/redis/faults.slow.test.ts.
import { Command } from 'ioredis'
import type { UnavailableReason } from '../errors.ts'
import type { RedisClient } from './connect.ts'

/**
 * A command whose timeout is checked after input was read. ioredis checks it before: after a long turn of the event
 * loop, it rejects a command whose reply is already in the socket.
 */
class LateTimeoutCommand extends Command {
  override setTimeout(ms: number): void {
    const timer = setTimeout(() => setImmediate(() => this.#rejectUnsettled()), ms)
    const clear = (): void => clearTimeout(timer)
    this.promise.then(clear, clear)
  }

  #rejectUnsettled(): void {
    if (!this.isSettled) this.reject(new Error(TIMED_OUT))
  }
}

/** The message of ioredis, for both kinds of timeout. */
const TIMED_OUT = 'Command timed out'

/** Sends a command. If its reply and its timeout are due in the same turn of the event loop, the reply counts. */
export function sendCommand(
  redis: RedisClient,
  name: string,
  args: readonly (string | number)[]
): Promise<unknown> {
  const command = new LateTimeoutCommand(name, [...args], { replyEncoding: 'utf8' })
  return Promise.resolve(redis.sendCommand(command))
}

/** @returns why a command failed, by the message of its error */
export function failureReason(error: unknown): UnavailableReason {
  const message = error instanceof Error ? error.message : ''
  if (message === TIMED_OUT) return 'redis_timeout'
  if (message.startsWith('OOM ')) return 'redis_full'
  // An error reply of Redis starts with a code in capitals.
  return /^[A-Z]+ /.test(message) ? 'redis_error' : 'redis_down'
}
