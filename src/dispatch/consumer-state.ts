// Tested by test/dispatch/http/http-consumer.slow.test.ts and test/dispatch/consumer-status.test.ts.
import type { RedisClient } from '../redis/connect.ts'
import { writeWhileFull } from '../redis/write-while-full.ts'

/** What all replicas know about a consumer, besides its position in the log. */
export interface ConsumerState {
  /** Failed attempts since it was last enabled, or ever. */
  readonly failures: number
  /** In our own words: contains no text of a response. */
  readonly lastFailure: string | undefined
  readonly lastFailureAtMs: number | undefined
  /** The first failure after the last success; `undefined` after a success. */
  readonly failingSinceMs: number | undefined
  readonly lastSuccessAtMs: number | undefined
  /** Since when it is disabled; `undefined` while it is enabled. */
  readonly disabledAtMs: number | undefined
  readonly disabledReason: string | undefined
  /** Since when it is paused; `undefined` while it is not. */
  readonly pausedAtMs: number | undefined
}

/** The attempts of one process since it last reported them. */
export interface AttemptSummary {
  readonly failures: number
  /** The last failure and its time, unix milliseconds. */
  readonly lastFailure?: { readonly reason: string; readonly atMs: number } | undefined
  /** The first failure after `lastSuccessAtMs`, or the first of all without a success. */
  readonly failingSinceMs?: number | undefined
  readonly lastSuccessAtMs?: number | undefined
}

/** Every method throws the error of Redis. */
export interface ConsumerStates {
  read(name: string): Promise<ConsumerState>
  addAttempts(name: string, attempts: AttemptSummary): Promise<void>
  disable(name: string, reason: string): Promise<void>
  /** Forgets its failures too. */
  enable(name: string): Promise<void>
  /**
   * Pauses a push consumer: within 2 s no replica sends it new events. Those in flight finish, all others stay in the
   * log. It stays paused until `resume`, also over restarts. Does nothing if it is paused already.
   */
  pause(name: string): Promise<void>
  resume(name: string): Promise<void>
  /** The paused consumers, and since when, unix milliseconds. One call, however many consumers there are. */
  paused(): Promise<ReadonlyMap<string, number>>
  /** Those of `names` that are disabled. One call per name. */
  disabled(names: readonly string[]): Promise<ReadonlySet<string>>
  remove(name: string): Promise<void>
}

export function consumerStates(redis: RedisClient, keyPrefix: string, now: () => number): ConsumerStates {
  const keyOf = (name: string): string => `${keyPrefix}consumer:${name}`
  const pausedKey = `${keyPrefix}paused`
  return {
    read: async name => {
      const [fields, pausedAtMs] = await Promise.all([
        redis.hgetall(keyOf(name)),
        redis.hget(pausedKey, name)
      ])
      return {
        failures: Number(fields['failures'] ?? 0),
        lastFailure: fields['lastFailure'],
        lastFailureAtMs: optionalNumber(fields['lastFailureAtMs']),
        failingSinceMs: optionalNumber(fields['failingSinceMs']),
        lastSuccessAtMs: optionalNumber(fields['lastSuccessAtMs']),
        disabledAtMs: optionalNumber(fields['disabledAtMs']),
        disabledReason: fields['disabledReason'],
        pausedAtMs: optionalNumber(pausedAtMs ?? undefined)
      }
    },
    addAttempts: async (name, { failures, lastFailure, failingSinceMs, lastSuccessAtMs }) => {
      const key = keyOf(name)
      const fields = {
        ...(lastFailure && { lastFailure: lastFailure.reason, lastFailureAtMs: lastFailure.atMs }),
        ...(lastSuccessAtMs !== undefined && { lastSuccessAtMs })
      }
      await Promise.all([
        failures > 0 && redis.hincrby(key, 'failures', failures),
        redis.hset(key, fields),
        lastSuccessAtMs !== undefined && redis.hdel(key, 'failingSinceMs'),
        failingSinceMs !== undefined && redis.hsetnx(key, 'failingSinceMs', String(failingSinceMs))
      ])
    },
    disable: async (name, reason) => {
      const fields = ['disabledReason', reason, 'disabledAtMs', now()]
      await writeWhileFull(redis, 'hset', keyOf(name), fields)
    },
    enable: async name => {
      await redis.hdel(
        keyOf(name),
        ...['disabledReason', 'disabledAtMs', 'failures', 'lastFailure', 'lastFailureAtMs', 'failingSinceMs']
      )
    },
    pause: async name => {
      await writeWhileFull(redis, 'hsetnx', pausedKey, [name, now()])
    },
    resume: async name => {
      await redis.hdel(pausedKey, name)
    },
    paused: async () => {
      const paused = await redis.hgetall(pausedKey)
      return new Map(Object.entries(paused).map(([name, atMs]) => [name, Number(atMs)]))
    },
    disabled: async names => {
      const isDisabled = await Promise.all(names.map(name => redis.hexists(keyOf(name), 'disabledAtMs')))
      return new Set(names.filter((_, index) => isDisabled[index] === 1))
    },
    remove: async name => {
      await Promise.all([redis.del(keyOf(name)), redis.hdel(pausedKey, name)])
    }
  }
}

const optionalNumber = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : Number(text)
