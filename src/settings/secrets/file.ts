import { randomUUID } from 'node:crypto'
import { lstat, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import { type Environment, nonEmpty } from '../environment.ts'
import {
  ReadOnlySecretError,
  type SecretHandle,
  type SecretStore,
  type SecretVersions,
  sameSecret,
  variableOf
} from './secret-handle.ts'
import { withoutLineBreak } from './stray-characters.ts'

/** The files of a secret. */
export interface SecretFile {
  readonly path: string
  /** The file of the previous value, if the operator named one; otherwise `<path>.previous`. */
  readonly previousPath: string | undefined
  /** See `SecretHandle`. */
  readonly setting?: string
}

const REFRESH_MS = 1000

/** Secrets in files: `NAME_FILE`, and `NAME_PREVIOUS_FILE` for the previous value. */
export function fileStore(env: Environment): SecretStore {
  return {
    find: name => {
      const variable = variableOf(name)
      const path = nonEmpty(env, `${variable}_FILE`)
      if (path === undefined) return undefined
      const previousPath = nonEmpty(env, `${variable}_PREVIOUS_FILE`)
      return fileSecret({ path, previousPath, setting: `${variable}_FILE=${path}` })
    },
    close: () => {}
  }
}

/**
 * A secret in a file of Docker, of Kubernetes (whose mounts are links that are swapped as a whole), or of the
 * operator. It is read by its path each time, so a replaced file, a swapped link and a rewritten file are all noticed.
 * The previous value is stored next to it as `<file>.previous`, the next one as `<file>.pending`.
 */
export function fileSecret({ path, previousPath, setting }: SecretFile): SecretHandle {
  const oldPath = previousPath ?? `${path}.previous`
  const pendingPath = `${path}.pending`
  const versions = async (): Promise<SecretVersions> => ({
    current: await readSecret(path),
    previous: await readSecret(oldPath),
    pending: await readSecret(pendingPath)
  })
  return {
    place: `the file ${path}`,
    ...(setting === undefined ? {} : { setting }),
    refreshMs: REFRESH_MS,
    versions,
    async promote(value) {
      const { current, pending } = await versions()
      if (!sameSecret(current, value)) {
        await refuseMounts(path)
        // The old value first: a reader between the two writes finds it twice, never nowhere.
        if (current !== undefined) await replaceFile(oldPath, current, path)
        await replaceFile(path, value, path)
      }
      if (sameSecret(pending, value)) await remove(pendingPath)
    },
    async forgetPrevious() {
      if ((await readSecret(oldPath)) !== undefined) await remove(oldPath)
    },
    async keepPrevious(value) {
      if (previousPath !== undefined) return false
      try {
        await refuseMounts(path)
        await replaceFile(oldPath, value, path)
        return true
      } catch {
        return false
      }
    },
    sibling: name => fileSecret({ path: join(dirname(path), name), previousPath: undefined })
  }
}

/** @returns `undefined` for a file that is missing, or empty as in the middle of a rewrite */
async function readSecret(path: string): Promise<Secret | undefined> {
  try {
    const text = withoutLineBreak(await readFile(path, 'utf8'))
    return text === '' ? undefined : new Secret(text)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** A link is swapped by its owner, such as the kubelet: a file in its place would be overwritten, or block the swap. */
async function refuseMounts(path: string): Promise<void> {
  const info = await lstat(path).catch(() => undefined)
  if (info?.isSymbolicLink()) {
    throw new ReadOnlySecretError(
      `${path} is a link to ${await realpath(path)}, as Kubernetes mounts secrets: change the Secret object instead (old value as …PREVIOUS_FILE), every replica reads it without a restart`
    )
  }
}

/** Atomic: a reader sees the old content or the new one. Mode and owner are copied from `like`. */
async function replaceFile(path: string, value: Secret, like: string): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `.${basename(path)}.${randomUUID()}`)
  try {
    const model = await stat(like).catch(() => undefined)
    const file = await open(temporary, 'wx', 0o600)
    try {
      await file.writeFile(`${value.reveal()}\n`)
      if (model !== undefined) {
        await file.chmod(model.mode & 0o777)
        if (process.getuid?.() === 0) await file.chown(model.uid, model.gid)
      }
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(folder)
  } catch (cause) {
    await rm(temporary, { force: true })
    throw readOnly(path, cause)
  }
}

async function remove(path: string): Promise<void> {
  try {
    await rm(path)
    await syncFolder(dirname(path))
  } catch (cause) {
    if (errorCode(cause) !== 'ENOENT') throw readOnly(path, cause)
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

function readOnly(path: string, cause: unknown): unknown {
  const code = errorCode(cause)
  if (code === 'EBUSY') {
    return new ReadOnlySecretError(`${path} is a mount point: mount its folder instead`, { cause })
  }
  if (code === undefined || !['EROFS', 'EACCES', 'EPERM', 'ENOENT'].includes(code)) return cause
  return new ReadOnlySecretError(`${path} cannot be written (${code}): change it where it is mounted from`, {
    cause
  })
}
