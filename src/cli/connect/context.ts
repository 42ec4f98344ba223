// Tested by test/cli/connect/command.slow.test.ts.
import { openAppApi } from '../../customerio/app-api.ts'
import { ConfigError } from '../../errors.ts'
import type { Environment } from '../../settings/environment.ts'
import { checkConnections, unconfiguredSources } from '../../tools/connect/check-connections.ts'
import { findRotations } from '../../tools/rotate/rotations.ts'
import { openLog } from '../open-log.ts'

export type ConnectContext = Awaited<ReturnType<typeof openConnect>>

/** @throws ConfigError without an App API key, or if Redis does not answer */
export async function openConnect(env: Environment) {
  const { config, redis, close } = await openLog(env, [
    'customerIo',
    'appApiKey',
    'sourceNames',
    'dataDir',
    'dispatch'
  ])
  const { appApiKey, log, dispatch } = config
  if (appApiKey === undefined) {
    close()
    throw new ConfigError(
      'CIO_APP_API_KEY is missing: create an App API key at Customer.io (Settings, API Credentials), and give it or its file as CIO_APP_API_KEY_FILE'
    )
  }
  const api = openAppApi({ account: config.customerIo, readKey: async () => appApiKey })
  const connected = { redis, keyPrefix: log.keyPrefix, sources: config.sourceNames }
  return {
    ...connected,
    api,
    rotationOf: findRotations(config, redis).webhookKey,
    check: () => checkConnections({ ...connected, api, consumers: dispatch.consumers, now: Date.now }),
    unconfigured: () => unconfiguredSources(connected),
    close
  }
}
