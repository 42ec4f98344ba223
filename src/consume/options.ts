// Tested by test/consume/errors.slow.test.ts.
import type { Cluster, Redis } from 'ioredis'
import { isOneEditApart } from '../edit-distance.ts'
import { isCluster } from '../redis/is-cluster.ts'
import { Secret } from '../secret.ts'
import type { RedisAddress } from '../settings/redis-address.ts'

/** Those of `ConsumerOptions`, as docs/consumers.md lists them. */
const known =
  'group redisUrl redis name types backfilled prefix partitions from maxAttempts concurrency backoff includeDoctorEvents signals stopTimeoutMs leaseMs onError'.split(
    ' '
  )

/** @throws TypeError that names an option that does not exist, and the nearest one that does */
export function rejectUnknownOptions(options: object): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    const meant = nearest(name)
    throw new TypeError(
      `unknown option ${JSON.stringify(name)}: ${meant === undefined ? `the options are ${known.join(', ')}` : `did you mean ${meant}?`}`
    )
  }
}

/** A timer of Node takes at most 24 days: with a longer time it fires at once. Pauses are up to a fifth longer. */
const MAX_MS = 20 * 24 * 3600 * 1000

/** @throws TypeError that names an option with a value that would silently do something else */
export function rejectInvalidValues(options: {
  readonly types?: unknown
  readonly from?: unknown
  readonly leaseMs?: unknown
  readonly stopTimeoutMs?: unknown
  readonly backoff?: { readonly firstMs?: unknown; readonly maxMs?: unknown }
}): void {
  const { types, from, leaseMs, stopTimeoutMs, backoff } = options
  if (types !== undefined && !Array.isArray(types)) throw new TypeError('types: a list of globs')
  if (from !== undefined && from !== 'start' && from !== 'now') throw new TypeError('from: start or now')
  if (leaseMs !== undefined) requireMilliseconds('leaseMs', leaseMs, 1)
  if (stopTimeoutMs !== undefined) requireMilliseconds('stopTimeoutMs', stopTimeoutMs, 0)
  if (backoff === undefined) return
  requireMilliseconds('backoff.firstMs', backoff.firstMs, 0)
  requireMilliseconds('backoff.maxMs', backoff.maxMs, 0)
}

function requireMilliseconds(name: string, value: unknown, min: number): void {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= MAX_MS) return
  throw new TypeError(`${name}: whole milliseconds, from ${min} to ${MAX_MS} (20 days)`)
}

/** The same letters in another case or with separators, one edit apart, or the beginning or end of a name. */
function nearest(name: string): string | undefined {
  const bare = (text: string): string => text.replace(/[-_ ]/g, '').toLowerCase()
  const wanted = bare(name)
  return (
    known.find(option => bare(option) === wanted) ??
    known.find(option => isOneEditApart(bare(option), wanted)) ??
    known.find(
      option => wanted.length >= 4 && (bare(option).includes(wanted) || wanted.includes(bare(option)))
    )
  )
}

/** Where a client of the user connects to, without its password. */
export function addressOfClient(redis: Redis | Cluster): RedisAddress {
  const login = { username: undefined, password: undefined }
  if (isCluster(redis)) {
    return {
      kind: 'cluster',
      nodes: redis
        .nodes()
        .map(({ options }) => ({ host: options.host ?? '127.0.0.1', port: options.port ?? 6379 })),
      login: { ...login, tls: redis.options.redisOptions?.tls !== undefined }
    }
  }
  const { sentinels, name, host = '127.0.0.1', port = 6379, path, tls } = redis.options
  if (sentinels != null && sentinels.length > 0) {
    return {
      kind: 'sentinel',
      nodes: sentinels.map(sentinel => ({
        host: sentinel.host ?? '127.0.0.1',
        port: sentinel.port ?? 26379
      })),
      master: name ?? '',
      login: { ...login, tls: redis.options.enableTLSForSentinelMode === true }
    }
  }
  const server = host.includes(':') ? `[${host}]` : host
  return {
    kind: 'standalone',
    url: new Secret(path ?? `${tls === undefined ? 'redis' : 'rediss'}://${server}:${port}`)
  }
}
