// Tested by test/redis/faults.slow.test.ts.
import { createPollingLoop } from '../async/poll.ts'
import { ConfigError, ReportedError } from '../errors.ts'
import { FINDINGS } from './causes.ts'
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
  readonly onUp?: () => void
  /** Called when the connection is lost, and for each failed probe with its error, or that of `validate`. */
  readonly onFailure?: (error?: unknown) => void
}

/** A Redis that hangs is noticed after this time and the timeout below, at most. */
const PROBE_INTERVAL_MS = 500
/**
 * A Redis that is only busy (a slow command, a fork) answers within this time. Less than the 2 s of a command, so that
 * `/readyz` answers 503 before deliveries do.
 */
const PROBE_TIMEOUT_MS = 1500

export function monitorRedis({ redis, validate, onUp, onFailure }: RedisMonitorOptions): RedisMonitor {
  let up = false
  let lastError: unknown
  const waiting = new Set<() => void>()
  const loop = createPollingLoop(probe, PROBE_INTERVAL_MS)

  const lost = (): void => {
    if (!up) return
    up = false
    onFailure?.()
  }
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
      succeed()
    } catch (error) {
      const problem = await databaseProblem(redis)
      fail(problem === undefined ? error : new ConfigError(`REDIS_URL: ${problem}`))
    }
  }

  function succeed(): void {
    if (loop.isStopped || up) return
    up = true
    onUp?.()
    for (const settle of waiting) settle()
  }

  function fail(error: unknown): void {
    lastError = error
    if (error instanceof ConfigError) for (const settle of waiting) settle()
    if (loop.isStopped) return
    up = false
    onFailure?.(error)
  }
}

/** Rejects if no answer has come in time. One that is in the socket by then counts: immediates run after input was read. */
function answered(ping: Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => setImmediate(() => reject(new ReportedError(FINDINGS.silent))),
      PROBE_TIMEOUT_MS
    )
    ping.then(() => resolve(), reject).finally(() => clearTimeout(timer))
  })
}
