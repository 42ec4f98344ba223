// Tested by test/tools/rotate/webhook-key.test.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import { runningReplicas, usageKeys } from '../../receive/key-usage-reporter.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { serverTime } from '../../redis/server-time.ts'

/** What the running replicas report about the signing keys of one source. */
export interface ReplicaKeys {
  /** Unix milliseconds by the clock of Redis, like all times here. */
  readonly nowMs: number
  /** The ids of the keys that each running replica accepts, current first. */
  readonly replicas: readonly { readonly replica: string; readonly keys: readonly string[] }[]
  /** By key id: when it last signed a delivery, and how many it has signed. */
  readonly keys: ReadonlyMap<string, { readonly lastSeenMs: number; readonly count: number }>
}

export async function readReplicaKeys(
  redis: RedisClient,
  keyPrefix: string,
  source: string
): Promise<ReplicaKeys> {
  const names = usageKeys(keyPrefix)
  const [nowMs, seen, counts, reports] = await Promise.all([
    serverTime(redis),
    redis.hgetall(names.seen),
    redis.hgetall(names.count),
    redis.hgetall(names.replicas)
  ])
  const ofSource = Object.entries(seen).filter(([field]) => field.startsWith(`${source}:`))
  return {
    nowMs,
    replicas: runningReplicas(reports, nowMs).flatMap(({ name, keys }) => {
      const ofSource = keys[source]
      return ofSource === undefined ? [] : [{ replica: name, keys: ofSource }]
    }),
    keys: new Map(
      ofSource.map(([field, at]) => [
        field.slice(source.length + 1),
        { lastSeenMs: Number(at), count: Number(counts[field] ?? 0) }
      ])
    )
  }
}

const POLL_MS = 200

/** Reads until the replicas are as wanted, or the time is up. @returns the last reading */
export async function watchReplicaKeys(
  read: () => Promise<ReplicaKeys>,
  wanted: (keys: ReplicaKeys) => boolean,
  waitMs: number
): Promise<ReplicaKeys> {
  const deadline = performance.now() + waitMs
  for (;;) {
    const keys = await read()
    if (wanted(keys) || performance.now() > deadline) return keys
    await sleep(POLL_MS)
  }
}
