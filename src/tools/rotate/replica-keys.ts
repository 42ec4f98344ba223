import { setTimeout as sleep } from 'node:timers/promises'
import { REPLICA_GONE_MS, usageKeys } from '../../receive/key-usage-reporter.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { serverTime } from '../../redis/server-time.ts'

/** What the running replicas say about the signing keys of one source. */
export interface Sightings {
  /** Of Redis, in Unix milliseconds: all times here are by its clock. */
  readonly nowMs: number
  /** The key ids each living replica takes, current first. */
  readonly replicas: readonly { readonly replica: string; readonly keys: readonly string[] }[]
  /** When each key has last signed a delivery, and how many. */
  readonly keys: ReadonlyMap<string, { readonly lastSeenMs: number; readonly count: number }>
}

export async function readSightings(
  redis: RedisClient,
  keyPrefix: string,
  source: string
): Promise<Sightings> {
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
    replicas: Object.entries(reports).flatMap(([replica, text]) => {
      const report = JSON.parse(text) as { at: number; sources: Record<string, string[]> }
      const keys = report.sources[source]
      return keys === undefined || nowMs - report.at > REPLICA_GONE_MS ? [] : [{ replica, keys }]
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

/** Looks until the replicas are as wanted, or the time is up. @returns the last look */
export async function watchSightings(
  read: () => Promise<Sightings>,
  wanted: (sightings: Sightings) => boolean,
  waitMs: number
): Promise<Sightings> {
  const deadline = performance.now() + waitMs
  for (;;) {
    const sightings = await read()
    if (wanted(sightings) || performance.now() > deadline) return sightings
    await sleep(POLL_MS)
  }
}
