import { createPollingLoop } from '../async/poll.ts'
import { ConfigError } from '../errors.ts'
import { sendCommand } from './command.ts'
import type { RedisClient } from './connect.ts'
import { databaseProblem } from './database.ts'

/** Knows whether Redis answers, so that nobody has to find out by waiting. */
export interface RedisMonitor {
  /** True from the moment Redis answers and is fit, until it hangs, hangs up or is gone. */
  isUp(): boolean
  /** Resolves once it is up; rejects with what made Redis unfit, or when `timeoutMs` have passed. */
  firstUp(timeoutMs: number): Promise<void>
  /** Probes now: something else has met a Redis that does not answer. */
  check(): void
  stop(): void
}

export interface RedisMonitorOptions {
  readonly redis: RedisClient
  /** Called whenever Redis comes back, since it may be another server: rejects to keep it from counting as up. */
  readonly accept: () => Promise<void>
  /** Called at each change; `error` is what a probe or `accept` ended with. */
  readonly onChange: (up: boolean, error?: unknown) => void
}

/** With the next one: how long a Redis that came back, or that hangs, can go unnoticed. */
const PROBE_INTERVAL_MS = 500
/**
 * A Redis that is only busy (a slow command, a fork) answers within this; one that does not fails deliveries soon
 * anyway. Below the 2 s of a command, so that `/readyz` says so before deliveries do.
 */
const PROBE_TIMEOUT_MS = 1500

export function monitorRedis({ redis, accept, onChange }: RedisMonitorOptions): RedisMonitor {
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
    firstUp: timeoutMs =>
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
      if (!up) await accept()
      change(true)
    } catch (error) {
      const problem = await databaseProblem(redis)
      change(false, problem === undefined ? error : new ConfigError(`REDIS_URL: ${problem}`))
    }
  }

  function change(next: boolean, error?: unknown): void {
    if (error !== undefined) lastError = error
    // Waiting does not help against a wrong configuration.
    if (error instanceof ConfigError) for (const settle of waiting) settle()
    if (loop.isStopped || next === up) return
    up = next
    onChange(up, error)
    if (up) for (const settle of waiting) settle()
  }
}

/** Rejects when no answer has come in time; one that lies in the socket by then has. */
function answered(ping: Promise<unknown>): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => setImmediate(() => reject(new Error('no answer to PING in time'))),
      PROBE_TIMEOUT_MS
    )
    ping.then(() => resolve(), reject).finally(() => clearTimeout(timer))
  })
}
