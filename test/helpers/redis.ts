import { spawnSync } from 'node:child_process'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { connectRedis, type RedisClient } from '../../src/redis/connect.ts'
import { Secret } from '../../src/secret.ts'
import type { RedisAddress } from '../../src/settings/redis-address.ts'
import { freePort, type RunningServer, startServer, until } from './server.ts'

export interface TestRedis extends RunningServer {
  readonly port: number
  readonly url: string
  readonly address: RedisAddress
  /** A client for the test; `stop()` closes it too. */
  readonly client: Redis
}

/** A redis-server on a free port. @param settings as in redis.conf; default: no persistence */
export async function startRedis(
  settings: Readonly<Record<string, string>> = {},
  options: {
    readonly port?: number
    readonly folder?: string
    readonly sentinel?: string
    readonly env?: NodeJS.ProcessEnv
  } = {}
): Promise<TestRedis> {
  const port = options.port ?? (await freePort())
  const client = new Redis({ port, lazyConnect: true, retryStrategy: () => 50, maxRetriesPerRequest: 0 })
  client.on('error', () => {})
  const all = { port: String(port), bind: '127.0.0.1', save: '', ...settings }
  const server = await startServer({
    command: 'redis-server',
    args:
      options.sentinel === undefined
        ? Object.entries(all).flatMap(([name, value]) => [`--${name}`, ...value.split(' ')])
        : [options.sentinel, '--sentinel'],
    ...(options.folder === undefined ? {} : { folder: options.folder }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ready: () =>
      client.ping().then(
        answer => answer === 'PONG',
        () => false
      )
  })
  const url = `redis://127.0.0.1:${port}`
  return {
    ...server,
    port,
    url,
    address: { kind: 'standalone', url: new Secret(url) },
    client,
    stop: async signal => {
      client.disconnect()
      await server.stop(signal)
    }
  }
}

/** Whether the redis-server of the tests can confirm that a write is on disk: Redis 7.0 cannot. */
export function serverHasWaitAof(): boolean {
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' })
  const [, major = 0, minor = 0] = (/v=(\d+)\.(\d+)/.exec(stdout) ?? []).map(Number)
  return major > 7 || (major === 7 && minor >= 2)
}

/** A Redis for one file of tests, emptied before each of them. */
export async function flushedRedis(test: Test): Promise<TestRedis> {
  const redis = await startRedis()
  test.beforeEach(() => redis.client.flushall())
  test.teardown(() => redis.stop())
  return redis
}

/** A Redis for one file of tests, with a connection as the service opens it. */
export async function connectedRedis(test: Test): Promise<TestRedis & { readonly connection: RedisClient }> {
  const redis = await startRedis()
  test.teardown(() => redis.stop())
  const connection = connectRedis(redis.address)
  test.teardown(() => connection.disconnect())
  await until('a connection', async () => connection.status === 'ready')
  return { ...redis, connection }
}
