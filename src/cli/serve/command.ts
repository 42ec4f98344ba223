import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import { createLogger, type Logger } from '../../ops/logger.ts'
import { type DevRedis, startDevRedis } from '../../redis/private-server.ts'
import { Secret } from '../../secret.ts'
import { startService } from '../../service.ts'
import { type Config, loadConfig, readValues } from '../../settings/config.ts'
import type { RedisAddress } from '../../settings/redis-address.ts'
import { secretSettings } from '../../settings/secret-locations.ts'
import { developmentKey } from '../../settings/secrets/development-key.ts'
import { connectProvider, locateSecrets, type SecretProvider } from '../../settings/secrets/open-secrets.ts'
import { providedValues } from '../../settings/secrets/provided-values.ts'
import { sharedKeys, unknownVariables } from '../../settings/warnings.ts'
import { shareMetrics, startWorkers, type WorkerArgs, workerArgs } from '../../workers.ts'
import type { Command } from '../command.ts'
import { IGNORED_DEBUG, ignoredVariables } from './debug-variables.ts'
import { devBanner } from './dev-banner.ts'

/** Time to finish after the listener is closed: a delivery has 3.4 s, the log output the rest. */
const CLOSE_MS = 4500

/** What was opened, newest last; closed in reverse order. */
type Closers = (() => Promise<void>)[]

export const serveCommand: Command = {
  summary: 'run the webhook receiver',
  usage: `usage: cio-webhook serve

Receives deliveries of Customer.io and appends their events to the log, until SIGTERM or SIGINT. All settings are
environment variables: see .env.example.`,
  run: async () => {
    await serve()
    return undefined
  }
}

/** Starts everything from the settings to the port, and closes it on a signal. */
async function serve(): Promise<void> {
  const configured = await configure(process.env)
  const { config, provider } = configured
  const { log, flush } = createLogger(config.logLevel)
  const args = workerArgs(process.argv)
  if (args === undefined) warnAboutSettings(config, log)
  const closers: Closers = [async () => provider.close()]
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close()
    await flush()
  }

  closeWithGrace(
    {
      delay: config.http.shutdownDelayMs + CLOSE_MS,
      logger: false,
      // Ctrl-C in a terminal reaches the workers too, but the primary ends them.
      skip: args === undefined ? ['beforeExit'] : ['beforeExit', 'SIGINT']
    },
    async ({ signal, err }) => {
      if (err === undefined) log.info({ signal }, 'shutting down: finishing requests in flight')
      else log.fatal({ err }, 'shutting down: uncaught error')
      await closeAll()
    }
  )
  if (args !== undefined) process.on('SIGINT', () => {})

  try {
    if (args === undefined) await servePrimary(configured, log, closers)
    else await serveAlone(configured, log, closers, args)
  } catch (error) {
    await closeAll()
    throw error
  }
}

function warnAboutSettings({ sources }: Config, log: Logger): void {
  for (const variable of ignoredVariables) log.warn({ variable }, IGNORED_DEBUG)
  for (const { message, ...details } of [...unknownVariables(process.env), ...sharedKeys(sources)]) {
    log.warn(details, message)
  }
}

interface Configured {
  readonly config: Config
  readonly provider: SecretProvider
}

/** The configuration, with those secrets that lie in the provider. */
async function configure(env: NodeJS.ProcessEnv): Promise<Configured> {
  const settings = secretSettings(readValues(env), env)
  const provider = await connectProvider(settings)
  try {
    const config = loadConfig(env, { developmentKey }, await providedValues(settings, provider))
    return { config, provider }
  } catch (error) {
    provider.close()
    throw error
  }
}

async function servePrimary(configured: Configured, log: Logger, closers: Closers): Promise<void> {
  const { config } = configured
  let privateRedis: DevRedis | undefined
  if (config.redis.kind === 'private') {
    privateRedis = await startDevRedis(config.dataDir)
    closers.push(privateRedis.stop)
  }
  const socket = privateRedis?.socket
  let port: number
  if (config.workers === 1) {
    port = await serveAlone(configured, log, closers, { runsMaintenance: true, redisSocket: socket })
  } else {
    const workers = startWorkers(config.workers, socket, log)
    closers.push(workers.close)
    port = await workers.listening
  }
  log.info({ port, workers: config.workers }, 'receiving')
  if (!config.production) process.stdout.write(devBanner(config, port, privateRedis))
}

async function serveAlone(
  { config, provider }: Configured,
  log: Logger,
  closers: Closers,
  args: WorkerArgs
): Promise<number> {
  const service = await startService({
    config,
    log,
    redisAddress: redisAddress(config, args),
    secrets: locateSecrets(config.secrets.places, provider),
    runsMaintenance: args.runsMaintenance,
    ...(config.workers === 1 ? {} : { shareMetrics })
  })
  closers.push(async () => {
    service.drain()
    await sleep(config.http.shutdownDelayMs)
    await service.close()
  })
  return service.port
}

function redisAddress({ redis }: Config, { redisSocket }: WorkerArgs): RedisAddress {
  if (redis.kind !== 'private') return redis
  if (redisSocket === undefined) throw new Error('the development Redis was not started')
  return { kind: 'standalone', url: new Secret(redisSocket) }
}
