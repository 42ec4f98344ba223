import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { Secret } from '../secret.ts'
import { readValues, redisTarget } from './config.ts'
import { customerIo } from './customer-io.ts'
import type { RedisAddress } from './redis-address.ts'
import { PRIVATE_SOCKET } from './redis-address.ts'
import { secretSettings } from './secret-locations.ts'
import { DEFAULT_SOURCE, readSourcesFile } from './sources.ts'

/**
 * What `cio-webhook rotate` reads of the environment: the same variables as the service, but without insisting
 * on those it has no use for.
 *
 * @throws ConfigError naming the variable
 */
export function loadRotationConfig(env: Readonly<Record<string, string | undefined>>) {
  const values = readValues(env)
  const further = values.CIO_SOURCES_FILE
  const { sources, keyFiles } =
    further === undefined
      ? { sources: [], keyFiles: new Map() }
      : readSourcesFile('CIO_SOURCES_FILE', further)
  return {
    secrets: secretSettings(values, env, keyFiles),
    customerIo: customerIo(values),
    dataDir: values.DATA_DIR,
    keyPrefix: values.CIO_KEY_PREFIX,
    sources: [DEFAULT_SOURCE, ...sources.map(source => source.name)],
    redis: redisAddress()
  }

  /** `undefined` where none is configured and no development server runs. */
  function redisAddress(): RedisAddress | undefined {
    const target = redisTarget(values, false)
    if (target.kind !== 'private') return target
    const socket = join(values.DATA_DIR, PRIVATE_SOCKET)
    return existsSync(socket) ? { kind: 'standalone', url: new Secret(socket) } : undefined
  }
}
