import { mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Puts a value into a folder as the kubelet mounts secrets: `key` is a link through `..data`, which is swapped as a whole.
 *
 * @param version name of the folder with this value, another one each time
 */
export function mountSecret(folder: string, version: string, value: string): void {
  mkdirSync(join(folder, version))
  writeFileSync(join(folder, version, 'key'), value)
  symlinkSync(version, join(folder, '..data_tmp'))
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'))
}
