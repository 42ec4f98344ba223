// Tested by test/cli/serve/command.test.ts, its slow test and test/cli/serve/start.slow.test.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import { type CloseStack, createCloseStack } from '../../async/close-stack.ts'
import { createLogger, type Logger } from '../../ops/logger.ts'
import { openTracing } from '../../ops/tracing.ts'
import { shareMetrics } from '../../ops/worker-metrics.ts'
import { type DevRedis, startDevRedis } from '../../redis/private-server.ts'
import { Secret } from '../../secret.ts'
import { startService } from '../../service.ts'
import { type Config, loadSettings, serviceNeeds } from '../../settings/config.ts'
import type { Environment } from '../../settings/environment.ts'
import type { RedisAddress } from '../../settings/redis-address.ts'
import { tracingSettings } from '../../settings/tracing.ts'
import { sharedKeys, unencryptedStore, unknownVariables } from '../../settings/warnings.ts'
import { startWorkers, type WorkerArgs, workerArgs } from '../../workers.ts'
import { type Command, parseCommandLine, UsageError } from '../command.ts'
import { checkService } from './check.ts'
import { IGNORED_DEBUG, ignoredVariables } from './debug-variables.ts'
import { devBanner, type ServicePorts } from './dev-banner.ts'

/** Time to finish after the listener is closed: a delivery has 3.4 s, the log output the rest. */
export const CLOSE_MS = 4500

const options = {
  check: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false }
} as const

export const serveCommand: Command = {
  summary: 'run the webhook receiver',
  usage: `usage: cio-webhook serve
       cio-webhook serve --check [--json]

Receives deliveries of Customer.io and appends their events to the log, until SIGTERM or SIGINT. All settings are
environment variables: see .env.example.

  --check       check environment, files, secrets, Redis, the targets of push consumers and the port, and end. It
                receives nothing, sends no event, and leaves nothing in Redis
  --json        with --check: print JSON

Exit code of --check: 0 serve can start, 1 a check failed, 2 invalid configuration.`,
  run: async (args, env) => {
    // A worker's options come from the primary.
    if (workerArgs(process.argv) === undefined) {
      const { values } = parseCommandLine({ args: [...args], options })
      if (values.check) return checkService(env, values.json)
      if (values.json) throw new UsageError('--json needs --check')
    }
    await serve(env)
    return undefined
  }
}

/** What the start of a process needs. */
interface Start {
  readonly config: Config
  readonly env: Environment
  readonly log: Logger
  readonly opened: CloseStack
}

/** Starts everything from the settings to the port, and closes it on a signal. */
async function serve(env: Environment): Promise<void> {
  const config = await loadSettings(env, serviceNeeds)
  const { log, flush } = createLogger(config.logLevel)
  const args = workerArgs(process.argv)
  if (args === undefined) warnAboutSettings(env, config, log)
  const opened = createCloseStack()
  opened.add(flush)
  opened.add(() => config.secrets.close())

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
      await opened.close()
    }
  )
  if (args !== undefined) process.on('SIGINT', () => {})

  const start: Start = { config, env, log, opened }
  try {
    if (args === undefined) await servePrimary(start)
    else await serveAlone(start, args)
  } catch (error) {
    await opened.close()
    throw error
  }
}

function warnAboutSettings(env: Environment, { sources }: Config, log: Logger): void {
  for (const variable of ignoredVariables) log.warn({ variable }, IGNORED_DEBUG)
  for (const { message, ...details } of [
    ...unknownVariables(env),
    ...unencryptedStore(env),
    ...sharedKeys(sources)
  ]) {
    log.warn(details, message)
  }
}

async function servePrimary(start: Start): Promise<void> {
  const { config, log, opened } = start
  let privateRedis: DevRedis | undefined
  if (config.redis.kind === 'private') {
    privateRedis = await startDevRedis(config.dataDir)
    opened.add(privateRedis.stop)
  }
  const socket = privateRedis?.socket
  let ports: ServicePorts
  if (config.workers === 1) {
    ports = await serveAlone(start, { runsMaintenance: true, redisSocket: socket })
  } else {
    const workers = startWorkers(config.workers, socket, log)
    opened.add(workers.close)
    ports = { port: await workers.listening, consolePort: undefined }
  }
  log.info({ port: ports.port, workers: config.workers }, 'receiving')
  if (!config.production) process.stdout.write(devBanner(config, ports, privateRedis))
}

async function serveAlone({ config, env, log, opened }: Start, args: WorkerArgs): Promise<ServicePorts> {
  const tracing = await openTracing(tracingSettings(env), log)
  opened.add(() => tracing?.close())
  const service = await startService({
    config,
    log,
    redisAddress: redisAddress(config, args),
    runsMaintenance: args.runsMaintenance,
    tracing,
    ...(config.workers === 1 ? {} : { shareMetrics })
  })
  opened.add(async () => {
    service.drain()
    await sleep(config.http.shutdownDelayMs)
    await service.close()
  })
  return service
}

function redisAddress({ redis }: Config, { redisSocket }: WorkerArgs): RedisAddress {
  if (redis.kind !== 'private') return redis
  if (redisSocket === undefined) throw new Error('the development Redis was not started')
  return { kind: 'standalone', url: new Secret(redisSocket) }
}
