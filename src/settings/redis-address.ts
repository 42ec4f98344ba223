// Tested by test/settings/config.test.ts and test/redis/failure.slow.test.ts.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import { Secret } from '../secret.ts'
import type { HostPort } from './parse.ts'
import type { Reader } from './read-variables.ts'
import { parseRedisUrl } from './redis-url.ts'

/** Sentinel and Cluster have a login of their own; a single server has it in its URL. */
interface RedisLogin {
  readonly username: string | undefined
  readonly password: Secret | undefined
  readonly tls: boolean
}

export type RedisAddress =
  | { readonly kind: 'standalone'; readonly url: Secret }
  | {
      readonly kind: 'sentinel'
      readonly nodes: readonly HostPort[]
      readonly master: string
      readonly login: RedisLogin
    }
  | { readonly kind: 'cluster'; readonly nodes: readonly HostPort[]; readonly login: RedisLogin }

/** `private`: no Redis is configured, so a development start brings its own. */
export type RedisTarget = RedisAddress | { readonly kind: 'private' }

/** The socket of the private Redis inside `DATA_DIR`. */
export const PRIVATE_SOCKET = join('redis', 'redis.sock')

/** @throws ConfigError if more than one Redis is configured */
export async function redisTarget(reader: Reader): Promise<RedisTarget> {
  const url = await reader.secret('REDIS_URL')
  const sentinels = reader.value('REDIS_SENTINELS')
  const cluster = reader.value('REDIS_CLUSTER_NODES')
  const given = Object.entries({ REDIS_URL: url, REDIS_SENTINELS: sentinels, REDIS_CLUSTER_NODES: cluster })
    .filter(([, value]) => value !== undefined)
    .map(([name]) => name)
  if (given.length > 1) throw new ConfigError(`${given.join(' and ')} are set: unset all but one of them`)
  if (url !== undefined) return { kind: 'standalone', url }
  if (sentinels === undefined && cluster === undefined) return { kind: 'private' }

  const login: RedisLogin = {
    username: reader.value('REDIS_USERNAME'),
    password: await reader.secret('REDIS_PASSWORD'),
    tls: reader.value('REDIS_TLS') === 'on'
  }
  if (cluster !== undefined) return { kind: 'cluster', nodes: cluster, login }
  const master = reader.value('REDIS_SENTINEL_MASTER')
  return { kind: 'sentinel', nodes: sentinels ?? [], master, login }
}

/**
 * The Redis of a command: the configured one, or the private one of a service that runs.
 *
 * @returns `undefined` if there is neither
 */
export async function runningRedis(reader: Reader): Promise<RedisAddress | undefined> {
  const target = await redisTarget(reader)
  if (target.kind !== 'private') return target
  const socket = resolve(reader.value('DATA_DIR'), PRIVATE_SOCKET)
  return existsSync(socket) ? { kind: 'standalone', url: new Secret(socket) } : undefined
}

/** For messages: host and port, without user and password. */
export function describeRedis(address: RedisAddress): string {
  if (address.kind !== 'standalone')
    return address.nodes.map(({ host, port }) => `${host}:${port}`).join(', ')
  const url = address.url.reveal()
  if (url.startsWith('/')) return url
  const server = parseRedisUrl(url)
  return 'problem' in server ? 'REDIS_URL' : `${server.host}:${server.port}`
}

/** Whether the connections to the servers that hold the data use TLS. Those to sentinels never do. */
export const usesTls = (address: RedisAddress): boolean =>
  address.kind === 'standalone' ? address.url.reveal().startsWith('rediss:') : address.login.tls
