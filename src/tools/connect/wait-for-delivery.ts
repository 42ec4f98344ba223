// Tested by test/cli/connect/command.slow.test.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import { SOURCE_PREFIX } from '../../event-types.ts'
import { publishedPartitions } from '../../log/partition.ts'
import { type LastDelivery, readDeliveryStats, readLastDeliveries } from '../../receive/delivery-stats.ts'
import { usageKeys } from '../../receive/key-usage-reporter.ts'
import type { RedisClient } from '../../redis/connect.ts'

/** The first delivery of a source, or why there is none. */
export type Verification =
  | {
      readonly outcome: 'received'
      readonly answer: LastDelivery['outcome']
      /** Id of the key that signed it, if it is known already. */
      readonly key: string | undefined
      /** Type of the newest event of the source, such as `io.customer.email.sent`. */
      readonly type: string | undefined
    }
  /** A delivery came whose signature matches no key. */
  | { readonly outcome: 'unknown_key'; readonly fromListedAddress: boolean }
  | { readonly outcome: 'nothing' }

interface WaitOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly source: string
  readonly waitMs: number
}

const POLL_MS = 1000
const KEY_USE_MS = 1500
const MINUTE_MS = 60_000

/**
 * Waits for the next delivery of a source. It reads what the service writes about deliveries once per second, and calls
 * neither the service nor Customer.io.
 *
 * @throws the error of Redis
 */
export async function waitForDelivery(options: WaitOptions): Promise<Verification> {
  const { redis, keyPrefix, source, waitMs } = options
  const startedMs = Date.now()
  const read = async () => {
    const [last, stats, seen] = await Promise.all([
      readLastDeliveries(redis, keyPrefix),
      readDeliveryStats(redis, keyPrefix, { fromMs: startedMs - MINUTE_MS, toMs: Date.now() + MINUTE_MS }),
      redis.hgetall(usageKeys(keyPrefix).seen)
    ])
    const { signatureFailures = {}, listedFailures = {} } = stats.sources.get(source) ?? {}
    return {
      last: last.get(source),
      seen,
      mismatches: signatureFailures.mismatch ?? 0,
      listedMismatches: listedFailures.mismatch ?? 0
    }
  }
  const before = await read()
  for (;;) {
    const now = await read()
    if (now.last !== undefined && now.last.atMs !== before.last?.atMs) {
      // The use of a key is written separately, up to a second later.
      await sleep(KEY_USE_MS)
      const { seen } = await read()
      const [, key] =
        Object.keys(seen)
          .filter(field => seen[field] !== before.seen[field])
          .map(field => field.split(':'))
          .find(([name]) => name === source) ?? []
      const type = await newestType(redis, keyPrefix, source)
      return { outcome: 'received', answer: now.last.outcome, key, type }
    }
    // Anyone can send an invalid signature; from the addresses of Customer.io it is worth an early answer.
    if (now.listedMismatches > before.listedMismatches) {
      return { outcome: 'unknown_key', fromListedAddress: true }
    }
    if (Date.now() - startedMs >= waitMs) {
      return now.mismatches > before.mismatches
        ? { outcome: 'unknown_key', fromListedAddress: false }
        : { outcome: 'nothing' }
    }
    await sleep(Math.min(POLL_MS, waitMs))
  }
}

async function newestType(redis: RedisClient, prefix: string, source: string): Promise<string | undefined> {
  let newest: { readonly type: string; readonly atMs: number } | undefined
  for (const { events } of await publishedPartitions(redis, prefix)) {
    const [entry] = await redis.xrevrange(events, '+', '-', 'COUNT', 1)
    if (entry === undefined) continue
    const [id, [, type = '', , event = '']] = entry
    const atMs = Number.parseInt(id, 10)
    if (!event.includes(`"source":"${SOURCE_PREFIX}${source}"`) || (newest?.atMs ?? 0) > atMs) continue
    newest = { type, atMs }
  }
  return newest?.type
}
