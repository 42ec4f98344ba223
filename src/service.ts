import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Registry } from 'prom-client'
import { buildApp, buildMetricsApp } from './app.ts'
import { fetchPublishedIps } from './customerio/app-api.ts'
import { consumerStatusReader } from './dispatch/consumer-status.ts'
import { createDispatchMetrics } from './dispatch/metrics.ts'
import { ConfigError, errorCode } from './errors.ts'
import { createEventLog } from './log/append.ts'
import { logStats } from './log/log-stats.ts'
import { publishPartitionCount } from './log/partition-count.ts'
import { createMaintenance } from './maintenance.ts'
import type { Health, MetricsRoute } from './ops/health.ts'
import type { Logger } from './ops/logger.ts'
import { createMetrics } from './ops/metrics.ts'
import { createIpAllowlist } from './receive/ip-allowlist.ts'
import { createKeyUsageReporter } from './receive/key-usage-reporter.ts'
import { createPublishedIps } from './receive/published-ips.ts'
import { watchSigningKeys } from './receive/signing-keys.ts'
import { connectRedis, disconnectRedis } from './redis/connect.ts'
import { durabilityWaits } from './redis/durability.ts'
import { followFailures } from './redis/failure.ts'
import { monitorRedis } from './redis/monitor.ts'
import { inspectServers, type ServerFacts, unmetRequirement } from './redis/server-facts.ts'
import type { Config } from './settings/config.ts'
import type { RedisAddress } from './settings/redis-address.ts'
import { version } from './version.ts'

export interface Service {
  readonly port: number
  readonly metricsPort: number | undefined
  /** `/readyz` says no from now on; deliveries are still taken. */
  drain(): void
  /** Stops listening, answers what is in flight, and closes what was opened, in reverse order. */
  close(): Promise<void>
}

export interface ServiceOptions {
  readonly config: Config
  readonly log: Logger
  readonly redisAddress: RedisAddress
  /** Does this process look after the log? One of several workers is enough. */
  readonly maintains: boolean
  /** Where there are several workers: lends this one's metrics, and reads those of all. */
  readonly shareMetrics?: (register: Registry) => () => Promise<string>
}

/** How long the start waits for Redis before it goes on without: deliveries get 503 until it is there. */
const FIRST_CONTACT_MS = 2500

const HANG_UP_INTERVAL_MS = 50

/** @throws ConfigError when the Redis that answers can't do what the configuration asks */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { config, log, redisAddress } = options
  const { keyPrefix, partitions, durability } = config.log
  let facts: ServerFacts | undefined
  let draining = false

  const redis = connectRedis(redisAddress)
  redis.on('error', error => log.debug({ err: error }, 'redis connection'))
  const failure = followFailures(redis)
  const monitor = monitorRedis({
    redis,
    accept: async () => {
      facts = await inspectServers(redis)
      const problem = unmetRequirement(facts, durability)
      if (problem !== undefined) throw new ConfigError(problem)
      await publishPartitionCount(redis, keyPrefix, partitions)
    },
    onChange: (up, error) => {
      if (up) log.info({ redis: facts, durability: durability.level }, 'redis is up')
      else log.error({ err: error }, `redis is down${failure()}: deliveries get 503 until it is back`)
    }
  })
  try {
    await monitor.firstUp(FIRST_CONTACT_MS)
  } catch (error) {
    if (error instanceof ConfigError) {
      monitor.stop()
      disconnectRedis(redis)
      throw error
    }
    log.error(
      { err: error },
      `redis does not answer${failure()}: starting without it, deliveries get 503 until it does`
    )
  }
  if (config.production && facts !== undefined && !facts.persistence.startsWith('aof')) {
    log.warn(
      { redis: facts },
      'this Redis keeps less than an append-only file: events that were answered with 200 can be lost'
    )
  }

  if (config.production && config.admission.trustedProxies.length === 0 && options.maintains) {
    log.warn(
      'TRUSTED_PROXIES is not set: x-forwarded-for is ignored, and behind a load balancer every delivery comes from its address; set it to the addresses of your proxies'
    )
  }

  const metrics = createMetrics({
    sources: [...config.sources.keys()],
    readLog: () => logStats(redis, keyPrefix, partitions),
    isRedisUp: () => monitor.isUp(),
    version
  })
  const { consumers, isOn: dispatches } = config.dispatch
  const dispatchMetrics = createDispatchMetrics(
    metrics.register,
    dispatches ? consumers.map(({ name }) => name) : [],
    consumerStatusReader({ redis, keyPrefix, consumers, now: Date.now })
  )
  // Loaded only where it is used: the clients of all brokers take a quarter of a start.
  const dispatch =
    dispatches && options.maintains
      ? (await import('./dispatch/dispatcher.ts')).createDispatcher({
          consumers,
          redis,
          connect: manner => connectRedis(redisAddress, manner),
          keyPrefix,
          metrics: dispatchMetrics,
          log,
          now: Date.now
        })
      : undefined
  const maintenance = createMaintenance({ config: config.log, redis, metrics, log })
  const waits = durabilityWaits(redis, durability, () => facts)
  const eventLog = createEventLog({
    redis,
    keyPrefix,
    partitions,
    maxLength: config.log.maxLength,
    durabilityWait: waits?.of,
    ...maintenance.room,
    isRedisUp: () => monitor.isUp(),
    onTimeout: () => monitor.check(),
    onCall: seconds => metrics.redisCall(seconds)
  })

  const keys = watchSigningKeys({
    sources: config.sources,
    secrets: config.secrets,
    log,
    onChange: () => void keyUsage.report()
  })
  const keyUsage = createKeyUsageReporter({
    redis,
    keyPrefix,
    sources: keys.sources,
    isRedisUp: () => monitor.isUp()
  })
  await keys.refresh()
  const admission = createIpAllowlist(config.admission)
  const publishedList = createPublishedIps({
    redis,
    keyPrefix,
    isRedisUp: () => monitor.isUp(),
    ask: config.appApiKey && (async () => fetchPublishedIps(config.customerIo, await appApiKey())),
    onList: admission.setPublished,
    metrics,
    log
  })
  // Before the first delivery: to refuse an address that was let in before the restart would cost an hour.
  await publishedList.recall()
  /** Read for each request: it may be rotated while the service runs. */
  async function appApiKey(): Promise<string> {
    const versions = await config.secrets.find('cio-app-api-key')?.versions()
    const key = versions?.current ?? config.appApiKey
    if (key === undefined) throw new Error('there is no App API key any more')
    return key.reveal()
  }

  const metricsRoute: MetricsRoute = {
    allowed: config.metrics.allowed,
    contentType: metrics.register.contentType,
    read: options.shareMetrics?.(metrics.register) ?? (() => metrics.register.metrics())
  }
  const health = (): Health => ({
    redisUp: monitor.isUp(),
    draining,
    durability: { level: durability.level, redis: facts?.persistence ?? 'unknown' }
  })
  const app = await buildApp({
    config: { ...config, sources: keys.sources },
    eventLog,
    metrics,
    keyUsage,
    admission,
    log,
    now: Date.now,
    health,
    isDraining: () => draining,
    metricsRoute: config.metrics.port === undefined ? metricsRoute : undefined
  })
  const metricsApp =
    config.metrics.port === undefined ? undefined : buildMetricsApp(metricsRoute, config.http.keepAliveMs)

  // Whoever takes deliveries has said with which keys: a rotation waits for those it knows of.
  await keyUsage.report()
  try {
    await listen(app, 'PORT', config.http.port, config.http.host)
    if (metricsApp !== undefined) {
      await listen(metricsApp, 'METRICS_PORT', config.metrics.port ?? 0, config.http.host)
    }
  } catch (error) {
    await close()
    throw error
  }
  if (options.maintains) maintenance.start()
  dispatch?.start()
  keys.start()
  keyUsage.start()
  publishedList.start()

  return {
    port: portOf(app.server.address()),
    metricsPort: metricsApp && portOf(metricsApp.server.address()),
    drain: () => {
      draining = true
    },
    close
  }

  async function close(): Promise<void> {
    // What was in flight becomes idle once it is answered, and would be kept alive.
    const hangUp = setInterval(() => app.server.closeIdleConnections(), HANG_UP_INTERVAL_MS)
    await Promise.all([app.close(), dispatch?.stop()])
    clearInterval(hangUp)
    await metricsApp?.close()
    publishedList.stop()
    keys.stop()
    await keyUsage.stop()
    await maintenance.stop()
    monitor.stop()
    waits?.close()
    disconnectRedis(redis)
  }
}

/** @throws ConfigError for a port that is taken, or may not be had, and for an address of another machine */
async function listen(
  app: FastifyInstance,
  variable: 'PORT' | 'METRICS_PORT',
  port: number,
  host: string
): Promise<void> {
  try {
    await app.listen({ port, host })
  } catch (cause) {
    const code = errorCode(cause) ?? 'unknown'
    throw new ConfigError(
      `${variable}=${port} on HOST=${host} can't be listened on (${code}): give a free port, and an address of this machine`,
      { cause }
    )
  }
}

const portOf = (address: string | AddressInfo | null): number =>
  address !== null && typeof address === 'object' ? address.port : 0
