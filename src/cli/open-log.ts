// Tested by test/redis/failure.slow.test.ts and test/cli/providers.slow.test.ts.
import { ConfigError } from '../errors.ts'
import { connectRedis, disconnectRedis, type RedisClient } from '../redis/connect.ts'
import { followFailures, type RedisFailure } from '../redis/failure.ts'
import { monitorRedis } from '../redis/monitor.ts'
import { connectMasters } from '../redis/ready.ts'
import { loadSettings, type Part, type Settings } from '../settings/config.ts'
import type { Environment } from '../settings/environment.ts'
import { describeRedis, type RedisAddress } from '../settings/redis-address.ts'
import { onRedisFailure } from './failure.ts'

/** How long a command waits for Redis. */
const FIRST_CONTACT_MS = 5000

export const NO_REDIS =
  'REDIS_URL is missing, and no cio-webhook runs with a Redis of its own: give redis://host:port'

/** Redis does not answer, or refuses us. The message names the address and the cause. */
export class UnreachableRedis extends ConfigError {
  readonly failure: RedisFailure

  constructor(failure: RedisFailure, options: ErrorOptions) {
    super(
      `cannot reach Redis at ${failure.address}: ${failure.cause}; check REDIS_URL (or REDIS_SENTINELS, REDIS_CLUSTER_NODES)`,
      options
    )
    this.failure = failure
  }
}

/**
 * Connects to Redis for a command, and waits until it accepts commands.
 *
 * @throws UnreachableRedis if it does not answer within 5 s, ConfigError if it refuses the configured database
 */
export async function connectForCommand(address: RedisAddress): Promise<RedisClient> {
  const redis = connect(address, 'fail-fast')
  const failures = followFailures(redis, address)
  onRedisFailure(failures.describe)
  const monitor = monitorRedis({ redis })
  try {
    await monitor.waitUntilUp(FIRST_CONTACT_MS)
    await connectMasters(redis, FIRST_CONTACT_MS)
    return redis
  } catch (cause) {
    const failure = await failures.describe(cause)
    disconnectRedis(redis)
    if (cause instanceof ConfigError) throw cause
    throw new UnreachableRedis(failure, { cause })
  } finally {
    monitor.stop()
  }
}

/** The same for a command that reports why there is no connection. @throws errors that do not come from Redis */
export async function tryToConnect(address: RedisAddress): Promise<RedisClient | RedisFailure> {
  try {
    return await connectForCommand(address)
  } catch (error) {
    if (error instanceof UnreachableRedis) return error.failure
    if (error instanceof ConfigError) return { address: describeRedis(address), cause: error.message }
    throw error
  }
}

function connect(address: RedisAddress, profile: 'fail-fast' | 'blocking'): RedisClient {
  const redis = connectRedis(address, profile)
  redis.on('error', () => {}) // reported by the command that fails
  return redis
}

/** The event log, for a command. */
export interface OpenLog<Needs extends Part = never> {
  readonly config: Settings<Needs | 'log' | 'runningRedis'>
  readonly redis: RedisClient
  /** A further connection, for BullMQ. */
  openBlocking(): RedisClient
  close(): void
}

/**
 * @param needs the settings that the command needs besides those of the log
 * @throws ConfigError for a bad setting, or if Redis does not answer
 */
export async function openLog<const Needs extends Part = never>(
  env: Environment,
  needs: readonly Needs[] = []
): Promise<OpenLog<Needs>> {
  const config = await loadSettings(env, ['log', 'runningRedis', ...needs])
  const { runningRedis: address } = config
  const opened: RedisClient[] = []
  const close = (): void => {
    for (const redis of opened) disconnectRedis(redis)
    config.secrets.close()
  }
  try {
    if (address === undefined) throw new ConfigError(NO_REDIS)
    const redis = await connectForCommand(address)
    opened.push(redis)
    const openBlocking = (): RedisClient => {
      opened.push(connect(address, 'blocking'))
      return opened.at(-1) ?? redis
    }
    return { config, redis, openBlocking, close }
  } catch (error) {
    close()
    throw error
  }
}
