import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigError, errorCode } from '../errors.ts'

/**
 * Creates DATA_DIR, or a folder inside it, with all its parents.
 *
 * @param mode of the folder itself
 * @throws ConfigError if it cannot be created, or a file is in the way
 */
export function createDataDir(dataDir: string, folder = dataDir, mode = 0o777): void {
  try {
    createFolder(folder, mode)
  } catch (cause) {
    const code = errorCode(cause)
    const reason = code === 'EEXIST' || code === 'ENOTDIR' ? 'a file is in the way' : code
    throw new ConfigError(
      `DATA_DIR=${dataDir} cannot be created (${reason}): give a folder that this user can write to`,
      { cause }
    )
  }
}

/** With `recursive: true`, mkdir would never return for a folder in /proc (Node 20 and 24). */
function createFolder(folder: string, mode: number): void {
  if (isFolder(folder)) return
  const parent = dirname(folder)
  if (parent !== folder) createFolder(parent, 0o777)
  try {
    mkdirSync(folder, { mode })
  } catch (error) {
    // Another process may have created it meanwhile.
    if (!isFolder(folder)) throw error
  }
}

const isFolder = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false
