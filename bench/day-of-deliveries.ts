import type { Redis } from 'ioredis'
import { bucketMs, deliveryKeys } from '../src/receive/delivery-stats.ts'

const DAY_MS = 24 * 60 * 60 * 1000

/** Fills the statistics of deliveries of a whole day: every bucket gets the same fields. */
export async function fillDayOfDeliveries(
  client: Redis,
  fields: Readonly<Record<string, string | number>>
): Promise<void> {
  const keys = deliveryKeys('cio:')
  const nowMs = Math.floor(Date.now() / bucketMs.quarter) * bucketMs.quarter
  for (const size of ['minute', 'quarter'] as const) {
    for (let atMs = nowMs - DAY_MS; atMs <= nowMs; atMs += bucketMs[size]) {
      await client.hset(keys.bucket(size, atMs), fields)
    }
  }
}
