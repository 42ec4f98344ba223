import { join } from 'node:path'
import type { RedisTarget } from './config.ts'
import { parseRedisUrl } from './redis-url.ts'

/** Where the socket lies inside `DATA_DIR`. */
export const PRIVATE_SOCKET = join('redis', 'redis.sock')

/** A target that has an address: the private server's is known once it runs. */
export type RedisAddress = Exclude<RedisTarget, { kind: 'private' }>

/** For messages: host and port, without user and password. */
export function describeRedis(address: RedisAddress): string {
  if (address.kind !== 'standalone')
    return address.nodes.map(({ host, port }) => `${host}:${port}`).join(', ')
  const url = address.url.reveal()
  if (url.startsWith('/')) return url
  const server = parseRedisUrl(url)
  return 'problem' in server ? 'REDIS_URL' : `${server.host}:${server.port}`
}
