import { disconnectRedis } from '../../redis/connect.ts'
import { type Config, loadSettings, serviceNeeds } from '../../settings/config.ts'
import type { Environment } from '../../settings/environment.ts'
import { describeRedis } from '../../settings/redis-address.ts'
import {
  misspeltConsumerTypes,
  sharedKeys,
  unencryptedStore,
  unknownVariables
} from '../../settings/warnings.ts'
import { checkConsumers } from '../../tools/status/check-consumers.ts'
import {
  checkPort,
  checkProxies,
  checkRedis,
  checkSources,
  type PreflightResult
} from '../../tools/status/preflight.ts'
import { EXIT, type ExitCode } from '../command.ts'
import { tryToConnect } from '../open-log.ts'
import { terminalSafe } from '../terminal.ts'

/**
 * Checks everything that the service needs to start, without receiving anything.
 *
 * @throws ConfigError for an invalid setting, as the start does
 */
export async function checkService(env: Environment, json: boolean): Promise<ExitCode> {
  const config = await loadSettings(env, serviceNeeds)
  try {
    const results = await runChecks(env, config)
    process.stdout.write(json ? `${JSON.stringify(results, null, 2)}\n` : results.map(resultText).join(''))
    return results.some(({ status }) => status === 'fail') ? EXIT.findings : EXIT.ok
  } finally {
    config.secrets.close()
  }
}

async function runChecks(env: Environment, config: Config): Promise<readonly PreflightResult[]> {
  const { http, metrics, console } = config
  const ports = [
    checkPort('PORT', http.port, http.host),
    ...(metrics.port === undefined ? [] : [checkPort('METRICS_PORT', metrics.port, http.host)]),
    // In development, a console without a chosen port takes another one if its own is in use.
    ...(console?.isPortChosen === true ? [checkPort('CONSOLE_PORT', console.port, console.host)] : [])
  ]
  const pushConsumers = config.dispatch.isOn ? config.dispatch.consumers : []
  const [redis, consumers, free] = await Promise.all([
    redisResults(config),
    checkConsumers(pushConsumers),
    Promise.all(ports)
  ])
  return [
    { check: 'configuration', status: 'pass', detail: 'every variable, file and secret could be read' },
    ...[
      ...unknownVariables(env),
      ...unencryptedStore(env),
      ...sharedKeys(config.sources),
      ...misspeltConsumerTypes(pushConsumers)
    ].map(
      ({ message }): PreflightResult => ({
        check: 'configuration',
        status: 'warn',
        detail: message,
        fix: 'correct or remove it'
      })
    ),
    ...checkSources(config),
    checkProxies(config),
    ...redis,
    ...consumers,
    ...free
  ]
}

async function redisResults(config: Config): Promise<readonly PreflightResult[]> {
  if (config.redis.kind === 'private') {
    const detail = `none is configured: serve starts a private redis-server in ${config.dataDir}`
    return [{ check: 'redis', status: 'pass', detail }]
  }
  const redis = await tryToConnect(config.redis)
  try {
    return await checkRedis(config, describeRedis(config.redis), redis)
  } finally {
    if (!('cause' in redis)) disconnectRedis(redis)
  }
}

function resultText({ check, status, detail, fix }: PreflightResult): string {
  const line = `${status}  ${check}: ${terminalSafe(detail)}\n`
  return fix === undefined ? line : `${line}      fix: ${terminalSafe(fix)}\n`
}
