// Tested by test/redis/faults.slow.test.ts, test/redis/failure.slow.test.ts and test/redis/durability.slow.test.ts.
import type { Registry } from 'prom-client'
import type { CloseStack } from './async/close-stack.ts'
import { ConfigError } from './errors.ts'
import { publishLog } from './log/published-log.ts'
import type { Logger } from './ops/logger.ts'
import { createRedisReport, type RedisReport } from './ops/redis-report.ts'
import type { Tracing } from './ops/spans.ts'
import { connectRedis, disconnectRedis, type RedisClient } from './redis/connect.ts'
import { followFailures } from './redis/failure.ts'
import { monitorRedis, type RedisMonitor } from './redis/monitor.ts'
import { inspectServers, type ServerFacts, unmetRequirement } from './redis/server-facts.ts'
import { checkWrites } from './redis/write-check.ts'
import type { Config } from './settings/config.ts'
import type { RedisAddress } from './settings/redis-address.ts'

export interface ServiceOptions {
  readonly config: Config
  readonly log: Logger
  readonly redisAddress: RedisAddress
  /** Whether this process keeps the log within its limits and dispatches: one of several workers does. */
  readonly runsMaintenance: boolean
  /** Records traces; its caller closes it. */
  readonly tracing?: Tracing | undefined
  /** With several workers: shares this one's metrics, and returns what reads those of all. */
  readonly shareMetrics?: (register: Registry) => () => Promise<string>
}

/** How long the start waits for Redis before it goes on without it: deliveries get 503 until Redis answers. */
const REDIS_WAIT_MS = 2500

export interface Connection {
  readonly redis: RedisClient
  readonly monitor: RedisMonitor
  readonly redisReport: Pick<RedisReport, 'problem' | 'refused'>
  /** `undefined` until Redis has answered. */
  readonly facts: () => ServerFacts | undefined
}

/**
 * Connects the service to Redis, and waits for it for a while. Without it the service starts all the same.
 *
 * @throws ConfigError if Redis cannot do what the configuration demands
 */
export async function openRedis(
  { config, log, redisAddress }: ServiceOptions,
  opened: CloseStack
): Promise<Connection> {
  const { keyPrefix, partitions, durability } = config.log
  let facts: ServerFacts | undefined
  let isStarting = true
  const redis = connectRedis(redisAddress)
  opened.add(() => disconnectRedis(redis))
  redis.on('error', error => log.debug({ err: error }, 'Redis connection failed'))
  const redisReport = createRedisReport({
    redis,
    failures: followFailures(redis, redisAddress),
    durability,
    log
  })
  opened.add(redisReport.stop)
  const monitor = monitorRedis({
    redis,
    validate: async () => {
      facts = await inspectServers(redis)
      const problem = unmetRequirement(facts, durability)
      if (problem !== undefined) throw new ConfigError(problem)
      await publishLog(redis, keyPrefix, { partitions, sources: [...config.sources.keys()] })
      await checkWrites(redis, keyPrefix)
    },
    onUp: () => redisReport.up(facts),
    onFailure: error => {
      // The first probes come before the connection.
      if (!isStarting) redisReport.fail(error)
    }
  })
  opened.add(monitor.stop)
  try {
    await monitor.waitUntilUp(REDIS_WAIT_MS)
  } catch (error) {
    if (error instanceof ConfigError) throw error
    redisReport.fail(error)
  }
  isStarting = false
  return { redis, monitor, redisReport, facts: () => facts }
}

export function warnAboutDeployment(
  { config, log, runsMaintenance }: ServiceOptions,
  facts: ServerFacts | undefined
): void {
  if (!config.production) return
  if (facts?.persistence === 'unknown') {
    log.warn(
      { redis: facts },
      'it is unknown what this Redis keeps, because CONFIG is not permitted: allow it with ACL SETUSER <user> +config|get, or check with your provider that it has an append-only file'
    )
  } else if (facts !== undefined && !facts.persistence.startsWith('aof')) {
    log.warn(
      { redis: facts },
      'this Redis keeps less than an append-only file, so events that were answered with 200 can be lost: set "appendonly yes" and "maxmemory-policy noeviction" in its configuration'
    )
  }
  if (runsMaintenance && config.admission.trustedProxies.length === 0) {
    log.warn(
      'TRUSTED_PROXIES is not set: x-forwarded-for is ignored, and behind a load balancer every delivery comes from its address; set it to the addresses of your proxies'
    )
  }
}
