import { once } from 'node:events'
import { type Cluster, Redis } from 'ioredis'
import type { Durability } from '../config/parse.ts'
import { UnavailableError } from '../errors.ts'
import type { PartitionKeys } from '../log/keys.ts'
import { mastersOf, type RedisClient, retryDelayMs } from './connect.ts'

/**
 * What a Redis server is configured to keep. `unknown`: it does not tell (some managed ones forbid CONFIG).
 * `evicting`: not even what it holds, once memory is short; it then deletes whichever keys it likes.
 */
export type Persistence =
  | 'evicting'
  | 'none'
  | 'snapshots'
  | 'aof-no'
  | 'aof-everysec'
  | 'aof-always'
  | 'unknown'

export interface ServerFacts {
  readonly version: string
  /** Of several servers the weakest. */
  readonly persistence: Persistence
  /** Can it say when a write has reached the disk? WAITAOF exists from Redis 7.2. */
  readonly waitAof: boolean
}

/** Waits until what a partition's connection has written is as durable as configured. */
export interface DurabilityWait {
  /** The connection to write on: the wait covers the writes of its own connection only. */
  readonly connection: () => Promise<RedisClient>
  /** @throws UnavailableError `durability_not_reached` */
  readonly wait: () => Promise<void>
}

export interface DurabilityWaits {
  readonly of: (keys: PartitionKeys) => DurabilityWait
  /** Ends the connections of their own. */
  readonly close: () => void
}

/** Longest wait for disks and replicas: with the call before it, below the 3.4 s of a delivery. */
const WAIT_MS = 1500

/** Longest wait for a connection of one's own: one more round trip is left in the 3.4 s, and no more. */
const CONNECT_MS = 500

const OLDEST_VERSION = [7, 0]

const strength: readonly Persistence[] = [
  'evicting',
  'none',
  'unknown',
  'snapshots',
  'aof-no',
  'aof-everysec',
  'aof-always'
]

/** Asks every master. @throws what Redis answers */
export async function inspectServers(redis: RedisClient): Promise<ServerFacts> {
  const facts = await Promise.all(mastersOf(redis).map(inspectServer))
  return {
    version: weakest(
      facts.map(({ version }) => version),
      olderFirst
    ),
    persistence: weakest(
      facts.map(({ persistence }) => persistence),
      weakerFirst
    ),
    waitAof: facts.every(({ waitAof }) => waitAof)
  }
}

const olderFirst = (a: string, b: string): number => a.localeCompare(b, 'en', { numeric: true })
const weakerFirst = (a: Persistence, b: Persistence): number => strength.indexOf(a) - strength.indexOf(b)

function weakest<T>(values: readonly T[], weakerFirst: (a: T, b: T) => number): T {
  const [first] = values.toSorted(weakerFirst)
  if (first === undefined) throw new UnavailableError('redis_down')
  return first
}

async function inspectServer(redis: Redis): Promise<ServerFacts> {
  const info = await redis.info('server')
  const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? '0'
  const persistence = await inspectPersistence(redis)
  return { version, persistence, waitAof: atLeast(version, [7, 2]) && persistence.startsWith('aof') }
}

const PERSISTENCE_SETTINGS = [
  'appendonly',
  'appendfsync',
  'no-appendfsync-on-rewrite',
  'save',
  'maxmemory',
  'maxmemory-policy'
] as const

async function inspectPersistence(redis: Redis): Promise<Persistence> {
  let settings: Map<string, string>
  try {
    const pairs = (await redis.config('GET', ...PERSISTENCE_SETTINGS)) as string[]
    settings = new Map(
      pairs.flatMap((name, index) => (index % 2 === 0 ? [[name, pairs[index + 1] ?? '']] : []))
    )
  } catch {
    return 'unknown'
  }
  // The streams and what is remembered have no expiry: `volatile-*` leaves them alone, `allkeys-*` does not.
  if (settings.get('maxmemory') !== '0' && settings.get('maxmemory-policy')?.startsWith('allkeys-')) {
    return 'evicting'
  }
  if (settings.get('appendonly') === 'yes') {
    // While the file is rewritten, which can take minutes, nothing is forced to disk, `always` or not.
    if (settings.get('no-appendfsync-on-rewrite') === 'yes') return 'aof-no'
    const policy = settings.get('appendfsync')
    return policy === 'always' ? 'aof-always' : policy === 'everysec' ? 'aof-everysec' : 'aof-no'
  }
  return settings.get('save') === '' ? 'none' : 'snapshots'
}

/**
 * Why these servers can't do what is asked, in one line that says what to do; `undefined` when they can.
 */
export function unfit(facts: ServerFacts, durability: Durability): string | undefined {
  if (!atLeast(facts.version, OLDEST_VERSION)) {
    return `Redis ${facts.version} is too old: 7.0 or newer is needed`
  }
  if (durability.level !== 'server' && facts.persistence === 'evicting') {
    return `DURABILITY=${durability.level} needs a Redis that keeps what it holds: this one deletes any key when memory is short; set "maxmemory-policy noeviction"`
  }
  if (durability.level === 'fsync' && facts.persistence !== 'aof-always' && !facts.waitAof) {
    return `DURABILITY=fsync needs a Redis with "appendonly yes", "appendfsync always" and "no-appendfsync-on-rewrite no", or Redis 7.2 with "appendonly yes": this one is ${facts.version} with ${facts.persistence}`
  }
  return undefined
}

const atLeast = (version: string, wanted: readonly number[]): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [wantedMajor = 0, wantedMinor = 0] = wanted
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}

/**
 * @param facts asked for at each wait, since a failover may have brought another server
 * @returns `undefined` where Redis' own answer is promise enough
 */
export function durabilityWaits(
  redis: RedisClient,
  durability: Durability,
  facts: () => ServerFacts | undefined
): DurabilityWaits | undefined {
  if (durability.level === 'server') return undefined
  // `appendfsync always` writes to disk before it answers: the answer is the proof, on any connection.
  const answerIsProof = (): boolean => durability.level === 'fsync' && facts()?.persistence === 'aof-always'
  const opened: OwnConnection[] = []
  return {
    of: keys => {
      const own = ownConnection(redis, keys)
      opened.push(own)
      return {
        connection: async () => (answerIsProof() ? redis : own.open()),
        wait: async () => {
          if (answerIsProof()) return
          const connection = await own.open()
          const reached =
            durability.level === 'fsync' ? await waitForDisk(connection) : await waitForReplicas(connection)
          if (!reached) throw new UnavailableError('durability_not_reached')
        }
      }
    },
    close: () => {
      for (const own of opened) own.close()
    }
  }

  async function waitForDisk(connection: Redis): Promise<boolean> {
    const [local] = (await connection.call('WAITAOF', 1, 0, WAIT_MS)) as [number, number]
    return local >= 1
  }

  async function waitForReplicas(connection: Redis): Promise<boolean> {
    const wanted = durability.level === 'replicated' ? durability.replicas : 0
    return (await connection.wait(wanted, WAIT_MS)) >= wanted
  }
}

interface OwnConnection {
  open(): Promise<Redis>
  close(): void
}

/**
 * A connection for one partition alone: WAIT and WAITAOF block theirs, and speak of its own writes only. On a
 * Cluster it goes to the node that holds the partition, and moves with it.
 */
function ownConnection(redis: RedisClient, keys: PartitionKeys): OwnConnection {
  let original: Redis | undefined
  let own: Redis | undefined
  let slot: number | undefined
  return {
    open: async () => {
      const owner = redis instanceof Redis ? redis : await nodeOfPartition(redis)
      if (own === undefined || owner !== original) {
        own?.disconnect()
        original = owner
        own = duplicate(owner)
      }
      await untilReady(own)
      return own
    },
    close: () => own?.disconnect()
  }

  async function nodeOfPartition(cluster: Cluster): Promise<Redis> {
    slot ??= Number(await cluster.cluster('KEYSLOT', keys.events))
    const address = cluster.slots[slot]?.[0]
    const node = mastersOf(cluster).find(({ options }) => `${options.host}:${options.port}` === address)
    if (node === undefined) throw new UnavailableError('redis_down')
    return node
  }
}

/** A copy that ends with its original. Its errors are the original's too, which tells them. */
function duplicate(original: Redis): Redis {
  // The nodes of a Cluster connect when they are first used, and do not come back by themselves.
  const copy = original.duplicate({ lazyConnect: false, retryStrategy: retryDelayMs })
  copy.on('error', () => {})
  original.once('end', () => copy.disconnect())
  return copy
}

async function untilReady(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return
  try {
    await once(redis, 'ready', { signal: AbortSignal.timeout(CONNECT_MS) })
  } catch (cause) {
    throw new UnavailableError('redis_down', { cause })
  }
}
