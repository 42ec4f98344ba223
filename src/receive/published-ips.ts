import { createPollingLoop } from '../async/poll.ts'
import { checkAddresses } from '../customerio/app-api.ts'
import type { Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { RedisClient } from '../redis/connect.ts'
import { serverTime } from './key-usage-reporter.ts'
import { publishedAddresses } from './published-addresses.ts'

/**
 * The list of source addresses that Customer.io publishes, kept true.
 *
 * `<prefix>addresses`: string, the last good answer as JSON `{ at (Unix milliseconds), addresses }`
 * `<prefix>addresses:asking`: string with a time to live, held by the one replica that asks
 */
export interface PublishedIps {
  start(): void
  stop(): void
  /** Takes up the last good answer from Redis. Never rejects. */
  recall(): Promise<void>
  /** One look: takes up the last good answer, and asks Customer.io when it is old. Never rejects. */
  look(): Promise<void>
}

export interface PublishedIpsOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly isRedisUp: () => boolean
  /** Asks Customer.io; rejects when there is no good answer. `undefined` without an App API key. */
  readonly ask: (() => Promise<readonly string[]>) | undefined
  /** Told what to add to the built-in list; replaces what was told before. */
  readonly onList: (addresses: readonly string[]) => void
  readonly metrics: Pick<Metrics, 'publishedList' | 'publishedListAsked'>
  readonly log: Logger
  readonly maxAgeMs?: number
}

const HOUR_MS = 3_600_000
/** Every replica looks this often, give or take a quarter: how late it learns what another one has asked. */
const LOOK_MS = 60_000
/** The same while Redis is away. */
const SOON_MS = 1000
/** How long the one that asks keeps the others from asking too; after a failure, until the next try. */
const ASKING_MS = 5 * 60_000

export function createPublishedIps(options: PublishedIpsOptions): PublishedIps {
  const { redis, keyPrefix, isRedisUp, ask, onList, metrics, log, maxAgeMs = HOUR_MS } = options
  const listKey = `${keyPrefix}addresses`
  const askingKey = `${keyPrefix}addresses:asking`
  let taken = ''
  const loop = createPollingLoop(look, () => (isRedisUp() ? LOOK_MS * (0.75 + Math.random() / 2) : SOON_MS))

  return {
    start: loop.runNow,
    stop: () => void loop.stop(),
    recall: async () => {
      await recalled().catch(tell)
    },
    look
  }

  function tell(error: unknown): void {
    log.warn({ err: error }, 'the list of source addresses was not looked at: the last one stays')
  }

  async function recalled(): Promise<Kept | undefined> {
    if (!isRedisUp()) return undefined
    const text = await redis.get(listKey)
    try {
      const kept = parseKept(text)
      if (kept !== undefined) takeUp(kept)
      return kept
    } catch (error) {
      tell(error)
      return undefined // Asking anew mends it.
    }
  }

  async function look(): Promise<void> {
    if (!isRedisUp()) return
    try {
      const kept = await recalled()
      if (ask === undefined) return
      const age = kept === undefined ? Number.POSITIVE_INFINITY : (await serverTime(redis)) - kept.at
      if (age < maxAgeMs) return
      if ((await redis.set(askingKey, '1', 'PX', ASKING_MS, 'NX')) !== 'OK') return
      await askNow(ask)
    } catch (error) {
      tell(error)
    }
  }

  async function askNow(fetchPublishedIps: () => Promise<readonly string[]>): Promise<void> {
    let addresses: readonly string[]
    try {
      addresses = await fetchPublishedIps()
    } catch (error) {
      metrics.publishedListAsked('failed')
      log.warn({ err: error }, 'Customer.io gave no list of source addresses: the last one stays')
      return
    }
    metrics.publishedListAsked('ok')
    const kept = { at: await serverTime(redis), addresses }
    takeUp(kept)
    await redis.set(listKey, JSON.stringify(kept))
    await redis.del(askingKey)
  }

  function takeUp({ at, addresses }: Kept): void {
    const builtIn = new Set(publishedAddresses)
    const answered = new Set(addresses)
    const added = addresses.filter(address => !builtIn.has(address))
    const withdrawn = publishedAddresses.filter(address => !answered.has(address))
    metrics.publishedList(added.length, withdrawn.length, at)
    const now = [...added].sort().join()
    if (now !== taken) {
      // What is published is the public's to know; nobody's personal address is among it.
      log.warn({ added, withdrawn }, 'Customer.io publishes other source addresses than are built in: added')
      onList(added)
      taken = now
    }
  }
}

interface Kept {
  readonly at: number
  readonly addresses: readonly string[]
}

/** What other replicas keep is checked like an answer: Redis is shared with others. */
function parseKept(text: string | null): Kept | undefined {
  if (text === null) return undefined
  const { at, addresses } = JSON.parse(text) as { at?: unknown; addresses?: unknown }
  return { at: typeof at === 'number' ? at : 0, addresses: checkAddresses(addresses) }
}
