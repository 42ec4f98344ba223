import { spawnSync } from 'node:child_process'
import { statSync } from 'node:fs'
import { basename } from 'node:path'

/**
 * Installs the packages of a folder that has a package.json of its own, unless its lock file is installed already.
 * Tools with many dependencies are kept there, so that `npm ci` in the root stays fast. No install scripts are run.
 *
 * @param folder an absolute path
 */
export function installTools(folder) {
  // npm writes the second file at the end of an installation, so an older one belongs to another lock file.
  const lock = statSync(`${folder}/package-lock.json`)
  const installed = statSync(`${folder}/node_modules/.package-lock.json`, { throwIfNoEntry: false })
  if (installed !== undefined && installed.mtimeMs >= lock.mtimeMs) return
  console.error(`installing the tools of scripts/${basename(folder)}`)
  const { status } = spawnSync('npm', ['ci', '--ignore-scripts', '--silent'], {
    cwd: folder,
    stdio: 'inherit'
  })
  if (status !== 0) throw new Error(`npm ci in ${folder} failed`)
}
