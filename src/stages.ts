// Tested by test/receive, test/redis and test/dispatch, through the whole service.
import type { Registry } from 'prom-client'
import type { CloseStack } from './async/close-stack.ts'
import type { RunningConsole } from './console/start.ts'
import { fetchPublishedIps } from './customerio/app-api.ts'
import { consumerStatusReader } from './dispatch/consumer-status.ts'
import type { Dispatcher } from './dispatch/dispatcher.ts'
import { createDispatchMetrics } from './dispatch/metrics.ts'
import { ConfigError } from './errors.ts'
import { misspeltTypes } from './event-types.ts'
import { createEventLog, type EventLog } from './log/append.ts'
import { publishLog } from './log/published-log.ts'
import { createMaintenance } from './maintenance.ts'
import type { Logger } from './ops/logger.ts'
import type { Metrics } from './ops/metrics.ts'
import { createRedisReport, type RedisReport } from './ops/redis-report.ts'
import { createDeliveryCounter, type DeliveryCounter } from './receive/delivery-counter.ts'
import { createIpAllowlist, type IpAllowlist } from './receive/ip-allowlist.ts'
import { createKeyUsageReporter, type KeyUsageReporter } from './receive/key-usage-reporter.ts'
import { createPublishedIps } from './receive/published-ips.ts'
import { type SigningKeys, watchSigningKeys } from './receive/signing-keys.ts'
import { connectRedis, disconnectRedis, type RedisClient } from './redis/connect.ts'
import { durabilityWaits } from './redis/durability.ts'
import { followFailures } from './redis/failure.ts'
import { monitorRedis, type RedisMonitor } from './redis/monitor.ts'
import { inspectServers, type ServerFacts, unmetRequirement } from './redis/server-facts.ts'
import type { Config } from './settings/config.ts'
import type { RedisAddress } from './settings/redis-address.ts'

export interface ServiceOptions {
  readonly config: Config
  readonly log: Logger
  readonly redisAddress: RedisAddress
  /** Whether this process keeps the log within its limits and dispatches: one of several workers does. */
  readonly runsMaintenance: boolean
  /** With several workers: shares this one's metrics, and returns what reads those of all. */
  readonly shareMetrics?: (register: Registry) => () => Promise<string>
}

/** How long the start waits for Redis before it goes on without it: deliveries get 503 until Redis answers. */
const REDIS_WAIT_MS = 2500

interface Connection {
  readonly redis: RedisClient
  readonly monitor: RedisMonitor
  readonly redisReport: Pick<RedisReport, 'problem' | 'refused'>
  /** `undefined` until Redis has answered. */
  readonly facts: () => ServerFacts | undefined
}

/** The input of each stage of the start. */
export interface Stage extends ServiceOptions, Connection {
  readonly metrics: Metrics
  readonly opened: CloseStack
}

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
      // PING and reads also work where writes are refused, such as on a replica. This key never exists.
      await redis.del(`${keyPrefix}write-check`)
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

export function openEventLog(stage: Stage): EventLog {
  const { config, log, redis, monitor, redisReport, facts, metrics, runsMaintenance, opened } = stage
  const { keyPrefix, partitions, maxLength, durability } = config.log
  const waits = durabilityWaits(redis, durability, facts)
  opened.add(() => waits?.close())
  const maintenance = createMaintenance({ config: config.log, redis, metrics, log })
  opened.add(maintenance.stop)
  if (runsMaintenance) maintenance.start()
  return createEventLog({
    redis,
    keyPrefix,
    partitions,
    maxLength,
    durabilityWait: waits?.of,
    ...maintenance.room,
    isRedisUp: monitor.isUp,
    onFailure: error => {
      if (error.reason === 'redis_timeout') monitor.check()
      else redisReport.refused(error)
    },
    onCallDuration: metrics.redisCall
  })
}

export async function openSigningKeys(
  stage: Stage
): Promise<{ readonly keys: SigningKeys; readonly keyUsage: KeyUsageReporter }> {
  const { config, log, redis, monitor, opened } = stage
  const keys = watchSigningKeys({
    sources: config.sources,
    secrets: config.secrets,
    log,
    onChange: () => void keyUsage.report()
  })
  const keyUsage = createKeyUsageReporter({
    redis,
    keyPrefix: config.log.keyPrefix,
    sources: keys.sources,
    isRedisUp: monitor.isUp
  })
  opened.add(keyUsage.stop)
  opened.add(keys.stop)
  await keys.refresh()
  keys.start()
  keyUsage.start()
  return { keys, keyUsage }
}

export function openDeliveryCounter({ config, redis, monitor, opened }: Stage): DeliveryCounter {
  const counter = createDeliveryCounter({
    redis,
    keyPrefix: config.log.keyPrefix,
    sources: [...config.sources.keys()],
    isRedisUp: monitor.isUp,
    now: Date.now
  })
  opened.add(counter.stop)
  counter.start()
  return counter
}

export async function openIpAllowlist(stage: Stage): Promise<IpAllowlist> {
  const { config, log, redis, monitor, metrics, opened } = stage
  const ipAllowlist = createIpAllowlist(config.admission)
  const publishedIps = createPublishedIps({
    redis,
    keyPrefix: config.log.keyPrefix,
    isRedisUp: monitor.isUp,
    fetchPublishedIps:
      config.appApiKey && (async () => fetchPublishedIps(config.customerIo, await appApiKey())),
    onList: ipAllowlist.setPublished,
    metrics,
    log
  })
  opened.add(publishedIps.stop)
  // Before the first delivery: refusing an address that was allowed before the restart would cost an hour.
  await publishedIps.loadCached()
  publishedIps.start()
  return ipAllowlist

  /** Read for each request: it may be rotated while the service runs. */
  async function appApiKey(): Promise<string> {
    const versions = await config.secrets.find('cio-app-api-key')?.versions()
    const key = versions?.current ?? config.appApiKey
    if (key === undefined) throw new Error('the App API key is no longer in its store')
    return key.reveal()
  }
}

export async function openDispatcher(stage: Stage): Promise<Dispatcher | undefined> {
  const { config, log, redisAddress, redis, metrics, runsMaintenance } = stage
  const { keyPrefix } = config.log
  const { consumers, isOn, attemptLogLength } = config.dispatch
  const dispatchMetrics = createDispatchMetrics(
    metrics.register,
    isOn ? consumers.map(({ name }) => name) : [],
    consumerStatusReader({ redis, keyPrefix, consumers, now: Date.now })
  )
  if (!isOn || !runsMaintenance) return undefined
  for (const { name, types } of consumers) {
    for (const problem of misspeltTypes(types)) log.warn({ consumer: name }, `consumer ${name}: ${problem}`)
  }
  // Loaded only where it is used: the clients of all brokers take a quarter of a start.
  const { createDispatcher } = await import('./dispatch/dispatcher.ts')
  return createDispatcher({
    consumers,
    redis,
    connect: profile => connectRedis(redisAddress, profile),
    keyPrefix,
    attemptLogLength,
    metrics: dispatchMetrics,
    log,
    now: Date.now
  })
}

/** The operators' web pages, where they are on: in one of several workers, as maintenance. */
export async function openConsole(stage: Stage): Promise<RunningConsole | undefined> {
  const { config, monitor, runsMaintenance, opened } = stage
  const settings = config.console
  if (settings === undefined || !runsMaintenance) return undefined
  // Loaded only where it is used.
  const { startConsole } = await import('./console/start.ts')
  const running = await startConsole({ ...stage, settings, isRedisUp: monitor.isUp, now: Date.now })
  opened.add(running.close)
  return running
}
