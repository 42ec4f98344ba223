import { createPollingLoop } from '../async/poll.ts'
import { checkAddresses } from '../customerio/ip-addresses.ts'
import type { Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { RedisClient } from '../redis/connect.ts'
import { serverTime } from '../redis/server-time.ts'
import { publishedAddresses } from './published-addresses.ts'

/**
 * Keeps the list of source addresses that Customer.io publishes up to date, once for all replicas.
 *
 * `<prefix>addresses`: string, the last valid answer as JSON `{ at (Unix milliseconds), addresses }`
 * `<prefix>addresses:asking`: string with a time to live, held by the one replica that asks Customer.io
 */
interface PublishedIps {
  start(): void
  stop(): void
  /** Applies the last valid answer from Redis. Never rejects. */
  loadCached(): Promise<void>
  /** Applies the last valid answer from Redis, and asks Customer.io if it is too old. Never rejects. */
  refresh(): Promise<void>
}

interface PublishedIpsOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly isRedisUp: () => boolean
  /** Asks Customer.io; rejects without a valid answer. `undefined` without an App API key. */
  readonly fetchPublishedIps: (() => Promise<readonly string[]>) | undefined
  /** Receives the addresses to add to the built-in list. They replace the ones of the call before. */
  readonly onList: (addresses: readonly string[]) => void
  readonly metrics: Pick<Metrics, 'publishedList' | 'publishedListAsked'>
  readonly log: Logger
  readonly maxAgeMs?: number
}

const HOUR_MS = 3_600_000
/** How often a replica reads the cached list, varied by a quarter. */
const REFRESH_MS = 60_000
/** The same while Redis is down. */
const RETRY_MS = 1000
/** How long the replica that asks keeps the others from asking too. After a failure, the time to the next attempt. */
const ASKING_MS = 5 * 60_000

export function createPublishedIps(options: PublishedIpsOptions): PublishedIps {
  const { redis, keyPrefix, isRedisUp, fetchPublishedIps, onList, metrics, log, maxAgeMs = HOUR_MS } = options
  const listKey = `${keyPrefix}addresses`
  const askingKey = `${keyPrefix}addresses:asking`
  /** Published and not built in, as of the last list. */
  let applied: readonly string[] = []
  const loop = createPollingLoop(refresh, () =>
    isRedisUp() ? REFRESH_MS * (0.75 + Math.random() / 2) : RETRY_MS
  )

  return {
    start: loop.runNow,
    stop: () => void loop.stop(),
    loadCached: async () => {
      await applyCached().catch(logFailure)
    },
    refresh
  }

  function logFailure(error: unknown): void {
    log.warn({ err: error }, 'cannot refresh the published source addresses; keeping the current ones')
  }

  async function applyCached(): Promise<CachedList | undefined> {
    if (!isRedisUp()) return undefined
    const text = await redis.get(listKey)
    try {
      const cached = parseCached(text)
      if (cached !== undefined) apply(cached)
      return cached
    } catch (error) {
      logFailure(error)
      return undefined // the next answer replaces it
    }
  }

  async function refresh(): Promise<void> {
    if (!isRedisUp()) return
    try {
      const cached = await applyCached()
      if (fetchPublishedIps === undefined) return
      const age = cached === undefined ? Number.POSITIVE_INFINITY : (await serverTime(redis)) - cached.at
      if (age < maxAgeMs) return
      if ((await redis.set(askingKey, '1', 'PX', ASKING_MS, 'NX')) !== 'OK') return
      const addresses = await ask(fetchPublishedIps)
      if (addresses === undefined) return
      const list = { at: await serverTime(redis), addresses }
      apply(list)
      await redis.set(listKey, JSON.stringify(list))
      await redis.del(askingKey)
    } catch (error) {
      logFailure(error)
    }
  }

  async function ask(fetch: () => Promise<readonly string[]>): Promise<readonly string[] | undefined> {
    try {
      const addresses = await fetch()
      metrics.publishedListAsked('ok')
      return addresses
    } catch (error) {
      metrics.publishedListAsked('failed')
      log.warn(
        { err: error },
        'Customer.io returned no valid list of source addresses; keeping the current ones'
      )
      return undefined
    }
  }

  function apply({ at, addresses }: CachedList): void {
    const builtIn = new Set(publishedAddresses)
    const published = new Set(addresses)
    const added = addresses.filter(address => !builtIn.has(address))
    const withdrawn = publishedAddresses.filter(address => !published.has(address))
    metrics.publishedList(added.length, withdrawn.length, at)
    const isNew = added.some(address => !applied.includes(address))
    const removed = applied.filter(address => !published.has(address))
    if (!isNew && removed.length === 0) return
    // The lists are public, so they may be logged.
    if (isNew) {
      log.warn(
        { added, withdrawn },
        'Customer.io publishes source addresses that are not built in; they are allowed now, unless CIO_ALLOWED_IPS is set'
      )
    }
    if (removed.length > 0) {
      log.warn(
        { removed },
        'Customer.io no longer publishes source addresses that it had added; they are no longer allowed, unless CIO_ALLOWED_IPS has them'
      )
    }
    onList(added)
    applied = added
  }
}

interface CachedList {
  readonly at: number
  readonly addresses: readonly string[]
}

/** Checked like an answer, since others can write to this Redis. */
function parseCached(text: string | null): CachedList | undefined {
  if (text === null) return undefined
  const { at, addresses } = JSON.parse(text) as { at?: unknown; addresses?: unknown }
  return { at: typeof at === 'number' ? at : 0, addresses: checkAddresses(addresses) }
}
