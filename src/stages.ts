// Tested by test/receive, test/http and test/cli/serve, which start the service.
import type { CloseStack } from './async/close-stack.ts'
import type { RunningConsole } from './console/start.ts'
import { type AppApi, openAppApi } from './customerio/app-api.ts'
import { fetchPublishedIps } from './customerio/ip-addresses.ts'
import { consumerStatusReader } from './dispatch/consumer-status.ts'
import type { Dispatcher } from './dispatch/dispatcher.ts'
import { createDispatchMetrics } from './dispatch/metrics.ts'
import { createEventLog, type EventLog } from './log/append.ts'
import { createMessageIndex } from './log/message-index.ts'
import { createMaintenance } from './maintenance.ts'
import type { Connection, ServiceOptions } from './open-redis.ts'
import type { Metrics } from './ops/metrics.ts'
import { createDeliveryCounter, type DeliveryCounter } from './receive/delivery-counter.ts'
import { createIpAllowlist, type IpAllowlist } from './receive/ip-allowlist.ts'
import { createKeyUsageReporter, type KeyUsageReporter } from './receive/key-usage-reporter.ts'
import { createPublishedIps } from './receive/published-ips.ts'
import { type SigningKeys, watchSigningKeys } from './receive/signing-keys.ts'
import { connectRedis } from './redis/connect.ts'
import { durabilityWaits } from './redis/durability.ts'
import { describeRedis } from './settings/redis-address.ts'
import { DEFAULT_SOURCE } from './settings/sources.ts'
import { misspeltConsumerTypes } from './settings/warnings.ts'
import { createWebhookWatch } from './tools/connect/webhook-watch.ts'
import { createReconcileWatch } from './tools/reconcile/reconcile-watch.ts'
import { watchLastingProblems } from './tools/status/lasting-problems.ts'

/** The input of each stage of the start. */
export interface Stage extends ServiceOptions, Connection {
  readonly metrics: Metrics
  readonly opened: CloseStack
}

export function openEventLog(stage: Stage): EventLog {
  const { config, log, redis, monitor, redisReport, facts, metrics, runsMaintenance, opened } = stage
  const { keyPrefix, partitions, maxLength, durability } = config.log
  const waits = durabilityWaits(redis, durability, facts)
  opened.add(() => waits?.close())
  const messageIndex = config.appApiKey && createMessageIndex(config.hashKey)
  const maintenance = createMaintenance({
    config: config.log,
    redis,
    messageIndex,
    messageWindowMs: config.reconcile.indexMs,
    metrics,
    log
  })
  opened.add(maintenance.stop)
  if (runsMaintenance) maintenance.start()
  return createEventLog({
    redis,
    keyPrefix,
    partitions,
    maxLength,
    messageIndex,
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
    partitions: config.log.partitions,
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

/** Customer.io's App API, for work in the background; `undefined` without a key. One per process: it paces itself. */
export function openStageAppApi({ config }: Stage): AppApi | undefined {
  const { appApiKey, customerIo, secrets } = config
  if (appApiKey === undefined) return undefined
  return openAppApi({
    account: customerIo,
    readKey: async () => {
      const versions = await secrets.find('cio-app-api-key')?.versions()
      return versions?.current ?? appApiKey
    }
  })
}

export async function openIpAllowlist(stage: Stage, appApi: AppApi | undefined): Promise<IpAllowlist> {
  const { config, log, redis, monitor, metrics, opened } = stage
  const ipAllowlist = createIpAllowlist(config.admission)
  const publishedIps = createPublishedIps({
    redis,
    keyPrefix: config.log.keyPrefix,
    isRedisUp: monitor.isUp,
    fetchPublishedIps: appApi && (() => fetchPublishedIps(appApi)),
    onList: ipAllowlist.setPublished,
    metrics,
    log
  })
  opened.add(publishedIps.stop)
  // Before the first delivery: refusing an address that was allowed before the restart would cost an hour.
  await publishedIps.loadCached()
  publishedIps.start()
  return ipAllowlist
}

export async function openDispatcher(stage: Stage): Promise<Dispatcher | undefined> {
  const { config, log, redisAddress, redis, metrics, tracing, runsMaintenance } = stage
  const { keyPrefix } = config.log
  const { consumers, isOn, attemptLogLength } = config.dispatch
  const dispatchMetrics = createDispatchMetrics(
    metrics.register,
    isOn ? consumers.map(({ name }) => name) : [],
    consumerStatusReader({ redis, keyPrefix, consumers, now: Date.now })
  )
  if (!isOn || !runsMaintenance) return undefined
  for (const { message, ...details } of misspeltConsumerTypes(consumers)) log.warn(details, message)
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
    tracing,
    now: Date.now
  })
}

/** Checks the webhooks at Customer.io, and compares the messages that it lists with what was appended. */
export function watchCustomerIo(stage: Stage, api: AppApi, eventLog: EventLog): void {
  const { config, redis, monitor, metrics, log, opened } = stage
  const { mode, indexMs } = config.reconcile
  const source = config.sources.get(DEFAULT_SOURCE)
  const shared = { api, redis, keyPrefix: config.log.keyPrefix, isRedisUp: monitor.isUp, metrics, log }
  const webhookWatch = createWebhookWatch({
    ...shared,
    sources: [...config.sources.keys()],
    consumers: config.dispatch.consumers
  })
  const reconcileWatch =
    mode === 'off' || source === undefined
      ? undefined
      : createReconcileWatch({
          ...shared,
          index: createMessageIndex(config.hashKey),
          source,
          eventLog,
          fill: mode === 'fill',
          indexMs,
          now: Date.now
        })
  for (const watch of [webhookWatch, reconcileWatch]) {
    if (watch === undefined) continue
    opened.add(watch.stop)
    watch.start()
  }
}

export function watchProblems({ config, redis, redisAddress, log, opened }: Stage): void {
  const problems = watchLastingProblems({
    config,
    redis,
    redisAddress: describeRedis(redisAddress),
    log,
    now: Date.now
  })
  opened.add(problems.stop)
  problems.start()
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
