import { Command } from 'ioredis'
import type { RedisClient } from './connect.ts'

/**
 * A command whose time limit is checked after input was read. ioredis' own timer runs before: after a turn of the
 * event loop that took long, it rejects a command whose reply lies in the socket already.
 */
class PatientCommand extends Command {
  override setTimeout(ms: number): void {
    const timer = setTimeout(() => setImmediate(() => this.#giveUp()), ms)
    const clear = (): void => clearTimeout(timer)
    this.promise.then(clear, clear)
  }

  #giveUp(): void {
    if (!this.isSettled) this.reject(new Error(TIMED_OUT))
  }
}

/** ioredis' message: one for both. */
export const TIMED_OUT = 'Command timed out'

/** Sends a command; where its reply and its time limit come in one turn of the event loop, the reply counts. */
export function sendCommand(
  redis: RedisClient,
  name: string,
  args: readonly (string | number)[]
): Promise<unknown> {
  const command = new PatientCommand(name, [...args], { replyEncoding: 'utf8' })
  return Promise.resolve(redis.sendCommand(command))
}
