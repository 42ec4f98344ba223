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
  readonly version: string
  /** With several servers: the weakest. */
  readonly persistence: Persistence
  /** Whether it can report that a write is on disk: WAITAOF exists from Redis 7.2. */
  readonly waitAof: boolean
}

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

/** Asks every master. @throws the error reply of Redis */
export async function inspectServers(redis: RedisClient): Promise<ServerFacts> {
  const all = await Promise.all(mastersOf(redis).map(inspectServer))
  return {
    version: smallest(all, ({ version: a }, { version: b }) => a.localeCompare(b, 'en', { numeric: true }))
      .version,
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
