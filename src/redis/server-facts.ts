import type { Redis } from 'ioredis'
import { UnavailableError } from '../errors.ts'
import type { Durability } from '../settings/parse.ts'
import { mastersOf, type RedisClient } from './connect.ts'
import { flatToMap } from './reply.ts'

/**
 * What a Redis server is configured to keep. `unknown`: some managed servers forbid CONFIG. `evicting`: it deletes any key
 * when memory is short.
 */
type Persistence = 'evicting' | 'none' | 'snapshots' | 'aof-no' | 'aof-everysec' | 'aof-always' | 'unknown'

export interface ServerFacts {
  readonly product: Product
  /** Of the product. The `redis_version` of Valkey is always that of the Redis it is compatible with. */
  readonly version: string
  /** With several servers: the weakest. */
  readonly persistence: Persistence
  /**
   * Whether WAITAOF (Redis from 7.2, Valkey) can confirm that a write is on disk. With `appendfsync no` it never does, and
   * without an append-only file it is an error.
   */
  readonly waitAof: boolean
}

/** Such as `Valkey 8.1.1`. With several servers: the oldest. */
export const serverName = ({ product, version }: ServerFacts): string => `${product} ${version}`

type Product = 'Redis' | 'Valkey'

const OLDEST_VERSIONS: Readonly<Record<Product, readonly [major: number, minor: number]>> = {
  Redis: [7, 0],
  Valkey: [8, 0]
}

const strength: readonly Persistence[] = [
  'evicting',
  'none',
  'unknown',
  'snapshots',
  'aof-no',
  'aof-everysec',
  'aof-always'
]

/** Asks every master. @throws the error reply of Redis */
export async function inspectServers(redis: RedisClient): Promise<ServerFacts> {
  const all = await Promise.all(mastersOf(redis).map(inspectServer))
  const { product, version } = smallest(all, ({ version: a }, { version: b }) =>
    a.localeCompare(b, 'en', { numeric: true })
  )
  return {
    product,
    version,
    persistence: smallest(
      all,
      ({ persistence: a }, { persistence: b }) => strength.indexOf(a) - strength.indexOf(b)
    ).persistence,
    waitAof: all.every(({ waitAof }) => waitAof)
  }
}

function smallest<T>(values: readonly T[], compare: (a: T, b: T) => number): T {
  const [first] = values.toSorted(compare)
  if (first === undefined) throw new UnavailableError('redis_down')
  return first
}

async function inspectServer(redis: Redis): Promise<ServerFacts> {
  const info = await redis.info('server')
  const valkey = /^valkey_version:(\S+)/m.exec(info)?.[1]
  const product = valkey === undefined ? 'Redis' : 'Valkey'
  const version = valkey ?? /^redis_version:(\S+)/m.exec(info)?.[1] ?? '0'
  const persistence = await inspectPersistence(redis)
  const hasWaitAof = product === 'Valkey' || atLeast(version, [7, 2])
  const isForced = persistence === 'aof-always' || persistence === 'aof-everysec'
  return { product, version, persistence, waitAof: hasWaitAof && isForced }
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
  let settings: ReadonlyMap<string, string>
  try {
    settings = flatToMap((await redis.config('GET', ...PERSISTENCE_SETTINGS)) as string[])
  } catch (error) {
    // Only a refusal: a lost connection is another problem.
    if (error instanceof Error && error.name === 'ReplyError') return 'unknown'
    throw error
  }
  // Streams and dedupe index have no expiry: `volatile-*` keeps them, `allkeys-*` does not.
  if (settings.get('maxmemory') !== '0' && settings.get('maxmemory-policy')?.startsWith('allkeys-')) {
    return 'evicting'
  }
  if (settings.get('appendonly') === 'yes') {
    // Then nothing is forced to disk while the file is rewritten, which can take minutes, even with `always`.
    if (settings.get('no-appendfsync-on-rewrite') === 'yes') return 'aof-no'
    const policy = settings.get('appendfsync')
    return policy === 'always' ? 'aof-always' : policy === 'everysec' ? 'aof-everysec' : 'aof-no'
  }
  return settings.get('save') === '' ? 'none' : 'snapshots'
}

/** Why these servers do not fulfil the required durability, and the next step, in one line; `undefined` if they do. */
export function unmetRequirement(facts: ServerFacts, durability: Durability): string | undefined {
  if (!atLeast(facts.version, OLDEST_VERSIONS[facts.product])) {
    return `${serverName(facts)} is too old: Redis 7.0 or newer, or Valkey 8.0 or newer, is needed`
  }
  if (durability.level !== 'server' && facts.persistence === 'evicting') {
    return `DURABILITY=${durability.level} needs a Redis that keeps what it holds: this one deletes any key when memory is short; set "maxmemory-policy noeviction"`
  }
  if (durability.level === 'fsync' && facts.persistence !== 'aof-always' && !facts.waitAof) {
    return `DURABILITY=fsync needs a Redis with "appendonly yes", "no-appendfsync-on-rewrite no" and "appendfsync always", or from Redis 7.2 and Valkey 8 on "appendfsync everysec": this one is ${serverName(facts)} with ${facts.persistence}`
  }
  return undefined
}

const atLeast = (version: string, wanted: readonly number[]): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [wantedMajor = 0, wantedMinor = 0] = wanted
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
}
