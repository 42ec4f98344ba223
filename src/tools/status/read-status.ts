// Tested by test/cli/status/command.slow.test.ts.
import { z } from 'zod'
import { consumerStatusReader } from '../../dispatch/consumer-status.ts'
import { parkedDeliveries } from '../../dispatch/parked.ts'
import { publishedPartitions } from '../../log/partition.ts'
import { entryTimeMs } from '../../log/position.ts'
import { readDeliveryStats, readLastDeliveries, type SourceStats } from '../../receive/delivery-stats.ts'
import { type ReplicaReport, runningReplicas, usageKeys } from '../../receive/key-usage-reporter.ts'
import { errorCause, isRedisError } from '../../redis/causes.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { RedisFailure } from '../../redis/failure.ts'
import { connectMasters } from '../../redis/ready.ts'
import { serverTime } from '../../redis/server-time.ts'
import type { Config } from '../../settings/config.ts'
import type { Configuration } from '../../settings/describe.ts'
import { parseStored } from '../../stored-json.ts'
import { version } from '../../version.ts'
import { readCheck } from '../connect/stored-check.ts'
import { removedConsumers } from '../consumers/removed-consumers.ts'
import type { PartitionStatus, RedisStatus, SourceStatus, StatusFacts, StatusReport } from './facts.ts'
import { findProblems } from './problems.ts'
import { readRedisStatus } from './read-redis-status.ts'

interface StatusOptions {
  readonly config: Pick<Config, 'production' | 'log' | 'dispatch' | 'admission'>
  readonly configuration: Configuration
  /** Names of the configured sources. */
  readonly sources: readonly string[]
  /** For messages, without credentials. */
  readonly redisAddress: string | undefined
  /** The connection, or why there is none; `undefined` if none is configured. */
  readonly redis: RedisClient | RedisFailure | undefined
  /** Unix milliseconds. */
  readonly now: () => number
}

const HOUR_MS = 3_600_000
const CONNECT_MS = 2000
const NO_STATS: SourceStats = {
  outcomes: {},
  keys: {},
  signatureFailures: {},
  listedFailures: {},
  wrongAddress: {}
}

/** Reads everything that the status shows. If Redis does not answer, the report says why. @throws other errors */
export async function readStatus(options: StatusOptions): Promise<StatusReport> {
  const { redis, redisAddress } = options
  if (redis === undefined || redisAddress === undefined) return report(options, { state: 'none' })
  if ('cause' in redis) return report(options, { state: 'down', ...redis })
  await connectMasters(redis, CONNECT_MS)
  try {
    return await readFromRedis(options, redis, redisAddress)
  } catch (error) {
    if (!isRedisError(error)) throw error
    const cause = errorCause(error) ?? 'no reply in time, or the connection was lost'
    return report(options, { state: 'down', address: redisAddress, cause })
  }
}

async function readFromRedis(
  options: StatusOptions,
  redis: RedisClient,
  redisAddress: string
): Promise<StatusReport> {
  const { config, now } = options
  const { keyPrefix } = config.log
  const nowMs = now()
  const [
    redisStatus,
    hour,
    day,
    last,
    partitions,
    consumers,
    parked,
    replicas,
    publishedAddresses,
    webhooks
  ] = await Promise.all([
    readRedisStatus(redis, redisAddress, keyPrefix, now),
    readDeliveryStats(redis, keyPrefix, { fromMs: nowMs - HOUR_MS, toMs: nowMs }),
    readDeliveryStats(redis, keyPrefix, { fromMs: nowMs - 24 * HOUR_MS, toMs: nowMs }),
    readLastDeliveries(redis, keyPrefix),
    readPartitions(redis, keyPrefix),
    readConsumers(options, redis),
    parkedDeliveries(redis, keyPrefix).count(),
    readReplicas(redis, keyPrefix),
    readPublished(redis, keyPrefix),
    readWebhooks(redis, keyPrefix, nowMs)
  ])
  const sources = options.sources.map(name => ({
    ...configured(name, options.configuration),
    lastHour: hour.sources.get(name) ?? NO_STATS,
    lastDay: day.sources.get(name) ?? NO_STATS,
    last: last.get(name)
  }))
  const firstRow = day.rows.find(({ outcomes }) => Object.keys(outcomes).length > 0)
  const hours = firstRow === undefined ? 1 : Math.max(1, (nowMs - firstRow.fromMs) / HOUR_MS)
  return report(options, redisStatus, {
    sources,
    deliveries: {
      outcomes: hour.outcomes,
      unavailable: hour.unavailable,
      durationMs: hour.durationMs,
      eventAgeSeconds: hour.eventAgeSeconds
    },
    eventsPerHour: (day.outcomes.accepted ?? 0) / hours,
    partitions,
    ...consumers,
    parked,
    replicas,
    publishedAddresses,
    webhooks
  })
}

async function readConsumers(
  { config, now }: StatusOptions,
  redis: RedisClient
): Promise<Pick<StatusFacts, 'consumers' | 'removedConsumers'>> {
  const { keyPrefix } = config.log
  const consumers = await consumerStatusReader({
    redis,
    keyPrefix,
    consumers: config.dispatch.consumers,
    now
  })()
  const names = consumers.map(({ name }) => name)
  return { consumers, removedConsumers: await removedConsumers(redis, keyPrefix).list(names) }
}

/** What is known of a source without Redis. */
function configured(name: string, { secrets }: Configuration): SourceStatus {
  const key = secrets.find(secret => secret.name === `signing key of ${name}`)
  return {
    name,
    lastHour: NO_STATS,
    lastDay: NO_STATS,
    last: undefined,
    currentKey: key?.current,
    previousKey: key?.previous
  }
}

function report(
  { config, configuration, sources, now }: StatusOptions,
  redis: RedisStatus,
  read: Partial<StatusFacts> = {}
): StatusReport {
  const facts: StatusFacts = {
    atMs: now(),
    version,
    production: config.production,
    configuration,
    settings: {
      maxLength: config.log.maxLength,
      partitions: config.log.partitions,
      trustsProxies: config.admission.trustedProxies.length > 0,
      addressPolicy: config.admission.policy
    },
    redis,
    sources: sources.map(name => configured(name, configuration)),
    deliveries: { outcomes: {}, unavailable: {}, durationMs: undefined, eventAgeSeconds: undefined },
    eventsPerHour: 0,
    partitions: [],
    consumers: [],
    removedConsumers: [],
    parked: 0,
    replicas: [],
    webhooks: [],
    publishedAddresses: undefined,
    ...read
  }
  return { ...facts, problems: findProblems(facts) }
}

async function readPartitions(redis: RedisClient, keyPrefix: string): Promise<readonly PartitionStatus[]> {
  const partitions = await publishedPartitions(redis, keyPrefix)
  return Promise.all(
    partitions.map(async ({ events: key }, partition) => {
      const [events, [oldest], [newest]] = await Promise.all([
        redis.xlen(key),
        redis.xrange(key, '-', '+', 'COUNT', 1),
        redis.xrevrange(key, '+', '-', 'COUNT', 1)
      ])
      return { partition, events, oldestAtMs: timeOf(oldest?.[0]), newestAtMs: timeOf(newest?.[0]) }
    })
  )
}

const timeOf = (entryId: string | undefined): number | undefined =>
  entryId === undefined ? undefined : entryTimeMs(entryId)

async function readReplicas(redis: RedisClient, keyPrefix: string): Promise<readonly ReplicaReport[]> {
  const [nowMs, reports] = await Promise.all([
    serverTime(redis),
    redis.hgetall(usageKeys(keyPrefix).replicas)
  ])
  return runningReplicas(reports, nowMs)
}

/** An older check is of a service that has no App API key any more. */
async function readWebhooks(
  redis: RedisClient,
  keyPrefix: string,
  nowMs: number
): Promise<StatusFacts['webhooks']> {
  const check = await readCheck(redis, keyPrefix)
  return check === undefined || nowMs - check.at > HOUR_MS ? [] : check.checks
}

const addressesSchema = z.object({ at: z.number(), addresses: z.array(z.string()) })

async function readPublished(
  redis: RedisClient,
  keyPrefix: string
): Promise<StatusFacts['publishedAddresses']> {
  const stored = parseStored(addressesSchema, await redis.get(`${keyPrefix}addresses`))
  return stored && { count: stored.addresses.length, atMs: stored.at, addresses: stored.addresses }
}
