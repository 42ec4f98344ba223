// Tested by test/receive, test/http and test/cli/serve, which start it.
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { buildApp, buildMetricsApp } from './app.ts'
import { type CloseStack, createCloseStack } from './async/close-stack.ts'
import { ConfigError, errorCode } from './errors.ts'
import { logStats } from './log/stats.ts'
import { openRedis, type ServiceOptions, warnAboutDeployment } from './open-redis.ts'
import type { MetricsRoute } from './ops/health.ts'
import { createMetrics } from './ops/metrics.ts'
import { serverName } from './redis/server-facts.ts'
import {
  openConsole,
  openDeliveryCounter,
  openDispatcher,
  openEventLog,
  openIpAllowlist,
  openSigningKeys,
  openStageAppApi,
  type Stage,
  watchCustomerIo,
  watchProblems
} from './stages.ts'
import { version } from './version.ts'

export interface Service {
  readonly port: number
  readonly metricsPort: number | undefined
  /** `undefined` if this process does not run the console. */
  readonly consolePort: number | undefined
  /** From now on `/readyz` answers 503; deliveries are still accepted. */
  drain(): void
  /** Stops listening, answers the requests in flight, and closes what was opened, in reverse order. */
  close(): Promise<void>
}

const CLOSE_IDLE_INTERVAL_MS = 50

/** @throws ConfigError if Redis cannot do what the configuration demands, or a port cannot be listened on */
export async function startService(options: ServiceOptions): Promise<Service> {
  const opened = createCloseStack()
  try {
    return await openService(options, opened)
  } catch (error) {
    await opened.close()
    throw error
  }
}

async function openService(options: ServiceOptions, opened: CloseStack): Promise<Service> {
  const connection = await openRedis(options, opened)
  warnAboutDeployment(options, connection.facts())
  const { config } = options
  const { redis, monitor, redisReport, facts } = connection
  const metrics = createMetrics({
    sources: [...config.sources.keys()],
    readLog: () => logStats(redis, config.log.keyPrefix, config.log.partitions),
    maxStreamLength: config.log.maxLength,
    isRedisUp: monitor.isUp,
    version,
    traced: options.tracing !== undefined,
    now: Date.now
  })
  opened.add(metrics.stop)
  const stage: Stage = { ...options, ...connection, metrics, opened }
  const eventLog = openEventLog(stage)
  const { keys, keyUsage } = await openSigningKeys(stage)
  const deliveryCounter = openDeliveryCounter(stage)
  const appApi = openStageAppApi(stage)
  const ipAllowlist = await openIpAllowlist(stage, appApi)
  const dispatcher = await openDispatcher(stage)

  let draining = false
  const metricsRoute: MetricsRoute = {
    allowed: config.metrics.allowed,
    textType: metrics.register.contentType,
    read: options.shareMetrics?.(metrics.register) ?? (() => metrics.register.metrics())
  }
  const hasMetricsPort = config.metrics.port !== undefined
  const app = await buildApp({
    config: { ...config, sources: keys.sources },
    eventLog,
    metrics,
    keyUsage,
    deliveryCounter,
    ipAllowlist,
    tracing: options.tracing,
    log: options.log,
    now: Date.now,
    health: () => {
      const server = facts()
      return {
        redisUp: monitor.isUp(),
        problem: redisReport.problem(),
        draining,
        durability: { level: config.log.durability.level, redis: server?.persistence ?? 'unknown' },
        redisServer: server && serverName(server)
      }
    },
    isDraining: () => draining,
    metricsRoute: hasMetricsPort ? undefined : metricsRoute
  })
  const metricsApp = hasMetricsPort ? buildMetricsApp(metricsRoute, config.http.keepAliveMs) : undefined
  opened.add(() => metricsApp?.close())
  // In parallel: each can take seconds, and a process that is stopped has only a few.
  opened.add(() => Promise.all([closeApp(app), dispatcher?.stop()]))

  // Before /readyz answers, so that a service that is ready is complete.
  const runningConsole = await openConsole(stage)
  // Before the first delivery: a rotation waits for the replicas that it knows.
  await keyUsage.report()
  if (options.runsMaintenance) {
    watchProblems(stage)
    if (appApi !== undefined) watchCustomerIo(stage, appApi, eventLog)
  }
  await listen(app, 'PORT', config.http.port, config.http.host)
  if (metricsApp !== undefined) {
    await listen(metricsApp, 'METRICS_PORT', config.metrics.port ?? 0, config.http.host)
  }
  dispatcher?.start()

  return {
    port: portOf(app),
    metricsPort: metricsApp && portOf(metricsApp),
    consolePort: runningConsole?.port,
    drain: () => {
      draining = true
    },
    close: opened.close
  }
}

/** @throws ConfigError for a port in use or not permitted, and for an address of another machine */
async function listen(
  app: FastifyInstance,
  variable: 'PORT' | 'METRICS_PORT',
  port: number,
  host: string
): Promise<void> {
  try {
    await app.listen({ port, host })
  } catch (cause) {
    throw new ConfigError(
      `cannot listen on ${variable}=${port}, HOST=${host} (${errorCode(cause) ?? 'unknown'}): give a free port, and an address of this machine`,
      { cause }
    )
  }
}

/** A connection with a request in flight becomes idle once that is answered, and would be kept open. */
async function closeApp(app: FastifyInstance): Promise<void> {
  const closeIdle = setInterval(() => app.server.closeIdleConnections(), CLOSE_IDLE_INTERVAL_MS)
  await app.close()
  clearInterval(closeIdle)
}

function portOf({ server }: FastifyInstance): number {
  const address: string | AddressInfo | null = server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}
