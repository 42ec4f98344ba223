import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { ConfigError } from '../errors.ts'
import { connectRedis, disconnectRedis, type RedisClient } from '../redis/connect.ts'
import { followFailures } from '../redis/failure.ts'
import { monitorRedis } from '../redis/monitor.ts'
import { Secret } from '../secret.ts'
import { type Config, loadConfig } from '../settings/config.ts'
import { describeRedis, type RedisAddress } from '../settings/redis-address.ts'

/** The event log of the environment, for a command. */
export interface OpenLog {
  readonly config: Config
  readonly redis: RedisClient
  /** A further connection for BullMQ. */
  patient(): RedisClient
  close(): void
}

const FIRST_CONTACT_MS = 5000

/** @throws ConfigError when the configuration is none, or Redis does not answer */
export async function openLog(env: Readonly<Record<string, string | undefined>>): Promise<OpenLog> {
  const config = loadConfig(env, { developmentKey: () => ({ key: 'none is made here', created: false }) })
  const address = addressOf(config)
  const opened: RedisClient[] = []
  const open = (profile: 'fail-fast' | 'blocking'): RedisClient => {
    const redis = connectRedis(address, profile)
    redis.on('error', () => {}) // told by the command that fails
    opened.push(redis)
    return redis
  }
  const redis = open('fail-fast')
  const failure = followFailures(redis)
  const close = (): void => {
    for (const client of opened) disconnectRedis(client)
  }
  const monitor = monitorRedis({ redis })
  try {
    await monitor.waitUntilUp(FIRST_CONTACT_MS)
  } catch (cause) {
    close()
    if (cause instanceof ConfigError) throw cause
    throw new ConfigError(
      `cannot reach Redis at ${describeRedis(address)}${failure(cause)}; check REDIS_URL (or REDIS_SENTINELS, REDIS_CLUSTER_NODES)`,
      { cause }
    )
  } finally {
    monitor.stop()
  }
  return { config, redis, patient: () => open('blocking'), close }
}

/** The private Redis of a development start is there while that runs. */
function addressOf({ redis, dataDir }: Config): RedisAddress {
  if (redis.kind !== 'private') return redis
  const socket = join(resolve(dataDir), 'redis', 'redis.sock')
  if (existsSync(socket)) return { kind: 'standalone', url: new Secret(socket) }
  throw new ConfigError(
    'REDIS_URL is missing, and no cio-webhook runs with a Redis of its own: give redis://host:port'
  )
}
