import { randomUUID } from 'node:crypto'
import { lstat, open, readFile, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { errorCode } from '../../errors.ts'
import { Secret } from '../../secret.ts'
import { ReadOnlySecretError, type SecretVersions, type SecretHandle, sameSecret } from './secret-handle.ts'

/** Where a mounted secret lies. */
export interface SecretFile {
  readonly path: string
  /** Where the previous value lies, if the operator named a file for it; else beside the current one. */
  readonly previousPath: string | undefined
}

const REFRESH_MS = 1000

/**
 * A secret in a file: of Docker, of Kubernetes (whose mounts are links that are swapped as a whole), or of the
 * operator. It is read anew each time, by its path, so that a replaced file, a swapped link and a rewritten one
 * are all seen. The previous value lies beside it as `<file>.previous`, the next one as `<file>.pending`.
 */
export function fileSecret({ path, previousPath }: SecretFile): SecretHandle {
  const besidePath = `${path}.previous`
  const oldPath = previousPath ?? besidePath
  const read = async (): Promise<SecretVersions> => ({
    current: await readSecret(path),
    previous: await readSecret(oldPath),
    pending: await readSecret(`${path}.pending`)
  })
  return {
    place: `the file ${path}`,
    refreshMs: REFRESH_MS,
    versions: read,
    async setActive(value) {
      const { current, pending } = await read()
      if (!sameSecret(current, value)) {
        await refuseMounts(path)
        // The old value first: whoever reads between the two finds it twice, never nowhere.
        if (current !== undefined) await replaceFile(oldPath, current, path)
        await replaceFile(path, value, path)
      }
      if (sameSecret(pending, value)) await remove(`${path}.pending`)
    },
    async forgetPrevious() {
      if ((await readSecret(oldPath)) !== undefined) await remove(oldPath)
    },
    async keepPrevious(value) {
      if (previousPath !== undefined) return false
      try {
        await refuseMounts(path)
        await replaceFile(besidePath, value, path)
        return true
      } catch {
        return false
      }
    }
  }
}

/** @returns `undefined` for a file that is not there or, as in the middle of a rewrite, is empty */
async function readSecret(path: string): Promise<Secret | undefined> {
  try {
    const text = (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
    return text === '' ? undefined : new Secret(text)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** A link belongs to whoever swaps it (the kubelet, say): a file put in its place would be undone, or undo it. */
async function refuseMounts(path: string): Promise<void> {
  const info = await lstat(path).catch(() => undefined)
  if (info?.isSymbolicLink()) {
    throw new ReadOnlySecretError(
      `${path} is a link to ${await realpath(path)}, as Kubernetes mounts secrets: change the Secret object instead (old value as …PREVIOUS_FILE), every replica takes it up by itself`
    )
  }
}

/** Replaces as a whole: a reader sees the old content or the new one. Mode and owner are those of `like`. */
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
    return new ReadOnlySecretError(`${path} is a mount of its own: mount its folder instead`, { cause })
  }
  if (code === undefined || !['EROFS', 'EACCES', 'EPERM', 'ENOENT'].includes(code)) return cause
  return new ReadOnlySecretError(`${path} can't be written (${code}): change it where it is mounted from`, {
    cause
  })
}
