// Tested by test/redis/faults.test.ts.
import { createPollingLoop } from '../async/poll.ts'
import { ConfigError, ReportedError } from '../errors.ts'
import { sendCommand } from './command.ts'
import type { RedisClient } from './connect.ts'
import { databaseProblem } from './database.ts'

/** Tracks whether Redis answers, so that a delivery need not wait to find out. */
export interface RedisMonitor {
  /** True from when Redis has answered and passed `validate`, until it hangs or the connection is lost. */
  isUp(): boolean
  /**
   * Resolves once Redis is up. Rejects after `timeoutMs` with the last failure, and with a ConfigError at once, since
   * waiting does not help against a wrong configuration.
   */
  waitUntilUp(timeoutMs: number): Promise<void>
  /** Probes now: another command has got no answer. */
  check(): void
  stop(): void
}

interface RedisMonitorOptions {
  readonly redis: RedisClient
  /** Called whenever Redis comes back, since it may be another server. If it rejects, Redis does not count as up. */
  readonly validate?: () => Promise<void>
  /** Called at each change; `error` is the failure of the probe or of `validate`. */
  readonly onChange?: (up: boolean, error?: unknown) => void
}

/** A Redis that hangs is noticed after this time and the timeout below, at most. */
const PROBE_INTERVAL_MS = 500
/**
 * A Redis that is only busy (a slow command, a fork) answers within this time. Less than the 2 s of a command, so that
 * `/readyz` answers 503 before deliveries do.
 */
const PROBE_TIMEOUT_MS = 1500

export function monitorRedis({ redis, validate, onChange }: RedisMonitorOptions): RedisMonitor {
  let up = false
  let lastError: unknown
  const waiting = new Set<() => void>()
  const loop = createPollingLoop(probe, PROBE_INTERVAL_MS)

  const lost = (): void => change(false)
  redis.on('close', lost)
  redis.on('end', lost)
  redis.on('ready', loop.runNow)
  loop.runNow()

  return {
    isUp: () => up,
    waitUntilUp: timeoutMs =>
      new Promise((resolve, reject) => {
        if (up) return resolve()
        const settle = (): void => {
          clearTimeout(timeout)
          waiting.delete(settle)
          if (up) resolve()
          else reject(lastError)
        }
        const timeout = setTimeout(settle, timeoutMs)
        waiting.add(settle)
      }),
    check: loop.runNow,
    stop: () => {
      void loop.stop()
      redis.off('close', lost)
      redis.off('end', lost)
      redis.off('ready', loop.runNow)
    }
  }

  async function probe(): Promise<void> {
    try {
      await answered(sendCommand(redis, 'ping', []))
      if (!up) await validate?.()
      change(true)
    } catch (error) {
      const problem = await databaseProblem(redis)
      change(false, problem === undefined ? error : new ConfigError(`REDIS_URL: ${problem}`))
    }
  }

  function change(next: boolean, error?: unknown): void {
    if (error !== undefined) lastError = error
    if (error instanceof ConfigError) for (const settle of waiting) settle()
    if (loop.isStopped || next === up) return
    up = next
    onChange?.(up, error)
    if (up) for (const settle of waiting) settle()
  }
}

/** Rejects if no answer has come in time. One that is in the socket by then counts: immediates run after input was read. */
function answered(ping: Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () =>
        setImmediate(() =>
          reject(new ReportedError(`no answer to PING within ${PROBE_TIMEOUT_MS / 1000} s`))
        ),
      PROBE_TIMEOUT_MS
    )
    ping.then(() => resolve(), reject).finally(() => clearTimeout(timer))
  })
}
