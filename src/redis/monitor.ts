import { ConfigError } from '../errors.ts'
import type { RedisClient } from './connect.ts'
import { databaseProblem } from './database.ts'

/** Knows whether Redis answers, so that nobody has to find out by waiting. */
export interface RedisMonitor {
  /** True from the moment Redis answers and is fit, until it hangs, hangs up or is gone. */
  isUp(): boolean
  /** Resolves once it is up; rejects with what made Redis unfit, or when `timeoutMs` have passed. */
  firstUp(timeoutMs: number): Promise<void>
  stop(): void
}

export interface RedisMonitorOptions {
  readonly redis: RedisClient
  /** Asked whenever Redis comes back, since it may be another server: rejects to keep it from counting as up. */
  readonly accept: () => Promise<void>
  /** Told of each change; `error` is what a probe or `accept` ended with. */
  readonly onChange: (up: boolean, error?: unknown) => void
}

/** How long a Redis that came back, or that hangs, can go unnoticed (a hanging one: plus the command timeout). */
const PROBE_INTERVAL_MS = 500

export function monitorRedis({ redis, accept, onChange }: RedisMonitorOptions): RedisMonitor {
  let up = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined
  let lastError: unknown
  const waiting = new Set<() => void>()

  const lost = (): void => change(false)
  redis.on('close', lost)
  redis.on('end', lost)
  redis.on('ready', probeSoon)
  probeSoon()

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
    stop: () => {
      stopped = true
      clearTimeout(timer)
      redis.off('close', lost)
      redis.off('end', lost)
      redis.off('ready', probeSoon)
    }
  }

  function probeSoon(): void {
    clearTimeout(timer)
    timer = setTimeout(() => void probe(), 0)
  }

  async function probe(): Promise<void> {
    try {
      await redis.ping()
      if (!up) await accept()
      change(true)
    } catch (error) {
      const problem = await databaseProblem(redis)
      change(false, problem === undefined ? error : new ConfigError(`REDIS_URL: ${problem}`))
    }
    if (stopped) return
    clearTimeout(timer)
    timer = setTimeout(() => void probe(), PROBE_INTERVAL_MS)
    timer.unref()
  }

  function change(next: boolean, error?: unknown): void {
    if (error !== undefined) lastError = error
    // Waiting does not help against a wrong configuration.
    if (error instanceof ConfigError) for (const settle of waiting) settle()
    if (stopped || next === up) return
    up = next
    onChange(up, error)
    if (up) for (const settle of waiting) settle()
  }
}
