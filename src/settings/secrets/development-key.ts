// Tested by test/settings/config.test.ts.
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError, errorCode } from '../../errors.ts'
import { createDataDir } from '../data-dir.ts'
import type { SecretFile } from './file.ts'

/** The file of the development key inside `DATA_DIR`. */
export const DEVELOPMENT_KEY_FILE = 'webhook_secret'

export const developmentKeyFile = (dataDir: string): SecretFile => ({
  path: join(dataDir, DEVELOPMENT_KEY_FILE),
  previousPath: undefined,
  setting: `the development key in DATA_DIR=${dataDir}`
})

/**
 * Creates the signing key of a development start: 32 random bytes as hex, readable by its owner only.
 *
 * @returns false if there is one already
 * @throws ConfigError if the folder or the file cannot be created
 */
export function createDevelopmentKey(dataDir: string): boolean {
  const { path } = developmentKeyFile(dataDir)
  createDataDir(dataDir)
  try {
    writeFileSync(path, `${randomBytes(32).toString('hex')}\n`, { mode: 0o600, flag: 'wx' })
    return true
  } catch (cause) {
    if (errorCode(cause) === 'EEXIST') return false
    throw new ConfigError(
      `DATA_DIR=${dataDir}: the development key cannot be created (${errorCode(cause)}): give a folder that this user can write to`,
      { cause }
    )
  }
}
