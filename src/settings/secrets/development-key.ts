import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorCode } from '../../errors.ts'
import { createDataDir } from '../data-dir.ts'

/** Where the development key lies inside `DATA_DIR`. */
export const DEVELOPMENT_KEY_FILE = 'webhook_secret'

/**
 * The signing key of a development start: 32 random bytes as hex, made on the first run, readable by its
 * owner only.
 */
export function developmentKey(dataDir: string): { readonly key: string; readonly created: boolean } {
  const path = join(dataDir, DEVELOPMENT_KEY_FILE)
  createDataDir(dataDir)
  const key = randomBytes(32).toString('hex')
  try {
    writeFileSync(path, `${key}\n`, { mode: 0o600, flag: 'wx' })
    return { key, created: true }
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
    return { key: readFileSync(path, 'utf8').trim(), created: false }
  }
}
