import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import { createLogger, type Logger } from '../../ops/logger.ts'
import { type DevRedis, startDevRedis } from '../../redis/private-server.ts'
import { Secret } from '../../secret.ts'
import { startService } from '../../service.ts'
import { type Config, loadSettings, serviceNeeds } from '../../settings/config.ts'
import type { Environment } from '../../settings/environment.ts'
import type { RedisAddress } from '../../settings/redis-address.ts'
import { sharedKeys, unknownVariables } from '../../settings/warnings.ts'
import { shareMetrics, startWorkers, type WorkerOrders, workerOrders } from '../../workers.ts'
import type { Command } from '../command.ts'
import { IGNORED_DEBUG, ignoredVariables } from './debug-variables.ts'
import { welcome } from './dev-banner.ts'

/** Time for what is in flight once the listener is closed: a delivery has 3.4 s, the log the rest. */
const CLOSE_MS = 4500

/** What was opened, newest last. */
type Closers = (() => Promise<void>)[]

export const serveCommand: Command = {
  summary: 'receive webhooks',
  usage: `usage: cio-webhook serve

Receives webhooks until SIGTERM or SIGINT. Configured by the environment: see .env.example.`,
  run: async (_args, env) => {
    await serve(env)
    return undefined
  }
}

/** The process, from the configuration to the port, and all of it back on a signal. */
async function serve(env: Environment): Promise<void> {
  const config = await loadSettings(env, serviceNeeds)
  const { log, flush } = createLogger(config.logLevel)
  const orders = workerOrders(process.argv)
  if (orders === undefined) warnAboutSettings(env, config, log)
  const closers: Closers = [async () => config.secrets.close()]
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close()
    await flush()
  }

  closeWithGrace(
    {
      delay: config.http.shutdownDelayMs + CLOSE_MS,
      logger: false,
      // A terminal's Ctrl-C reaches workers too: they end when the primary tells them.
      skip: orders === undefined ? ['beforeExit'] : ['beforeExit', 'SIGINT']
    },
    async ({ signal, err }) => {
      if (err === undefined) log.info({ signal }, 'ending: what is in flight is answered first')
      else log.fatal({ err }, 'ending: an error that nobody caught')
      await closeAll()
    }
  )
  if (orders !== undefined) process.on('SIGINT', () => {})

  try {
    if (orders === undefined) await servePrimary(config, log, closers)
    else await serveAlone(config, log, closers, orders)
  } catch (error) {
    await closeAll()
    throw error
  }
}

function warnAboutSettings(env: Environment, { sources }: Config, log: Logger): void {
  for (const variable of ignoredVariables) log.warn({ variable }, IGNORED_DEBUG)
  for (const { message, ...details } of [...unknownVariables(env), ...sharedKeys(sources)]) {
    log.warn(details, message)
  }
}

async function servePrimary(config: Config, log: Logger, closers: Closers): Promise<void> {
  let privateRedis: DevRedis | undefined
  if (config.redis.kind === 'private') {
    privateRedis = await startDevRedis(config.dataDir)
    closers.push(privateRedis.stop)
  }
  const socket = privateRedis?.socket
  let port: number
  if (config.workers === 1) {
    port = await serveAlone(config, log, closers, { maintains: true, redisSocket: socket })
  } else {
    const workers = startWorkers(config.workers, socket, log)
    closers.push(workers.close)
    port = await workers.listening
  }
  log.info({ port, workers: config.workers }, 'receiving')
  if (!config.production) process.stdout.write(welcome(config, port, privateRedis))
}

async function serveAlone(
  config: Config,
  log: Logger,
  closers: Closers,
  orders: WorkerOrders
): Promise<number> {
  const service = await startService({
    config,
    log,
    redisAddress: redisAddress(config, orders),
    maintains: orders.maintains,
    ...(config.workers === 1 ? {} : { shareMetrics })
  })
  closers.push(async () => {
    service.drain()
    await sleep(config.http.shutdownDelayMs)
    await service.close()
  })
  return service.port
}

function redisAddress({ redis }: Config, { redisSocket }: WorkerOrders): RedisAddress {
  if (redis.kind !== 'private') return redis
  if (redisSocket === undefined) throw new Error('no private Redis was started')
  return { kind: 'standalone', url: new Secret(redisSocket) }
}
