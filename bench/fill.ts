import { hash } from 'node:crypto'
import { createEventLog } from '../src/log/append.ts'
import { partitionKeys } from '../src/log/keys.ts'
import { connectRedis } from '../src/redis/connect.ts'
import type { RedisAddress } from '../src/settings/redis-address.ts'
import { until } from '../test/helpers/server.ts'

const KEY_PREFIX = 'cio:'
/** A few batches: entries that wait longer than about a second are refused as overload, even on a busy machine. */
const AT_ONCE = 512
/**
 * The streams are emptied after this many ids: only the remembered ids are measured. Not with UNLINK, which frees memory
 * later, in a thread: on a busy machine, megabytes of the stream were counted too.
 */
const EMPTY_EVERY = 100_000

/**
 * Makes the event log remember ids, as the service would, and leaves the streams empty.
 *
 * @param from number of the first id; a number that was used before is a duplicate
 */
export async function rememberIds(address: RedisAddress, from: number, count: number): Promise<void> {
  const redis = connectRedis(address)
  redis.on('error', () => {})
  const { events } = partitionKeys(KEY_PREFIX, 0)
  await until('redis', () =>
    redis.ping().then(
      () => true,
      () => false
    )
  )
  const log = createEventLog({
    redis,
    keyPrefix: KEY_PREFIX,
    partitions: 1,
    maxLength: Number.MAX_SAFE_INTEGER,
    durabilityWait: undefined,
    isRedisUp: () => true
  })
  try {
    await rememberAll()
  } finally {
    redis.disconnect()
  }

  async function rememberAll(): Promise<void> {
    for (let first = from; first < from + count; first += AT_ONCE) {
      const numbers = Array.from({ length: Math.min(AT_ONCE, from + count - first) }, (_, i) => first + i)
      await Promise.all(numbers.map(number => log.append(entryOf(number))))
      if (first % EMPTY_EVERY < AT_ONCE) await redis.del(events)
    }
    await redis.del(events)
  }
}

const entryOf = (number: number) =>
  ({
    stream: 'events',
    id: String(number),
    type: 'io.customer.email.opened',
    digest: hash('sha256', `default\0remembered-${number}`, 'base64'),
    partitionKey: '',
    event: '{}',
    parked: undefined,
    happenedAtMs: undefined,
    messageId: undefined,
    backfilled: false
  }) as const
