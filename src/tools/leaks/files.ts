import { constants } from 'node:fs'
import { lstat, open, readdir, readlink, stat } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { errorCode } from '../../errors.ts'
import type { Detector } from './detector.ts'
import { type LeakOnLine, scanText } from './stream-scanner.ts'

/** What became of a file. `skipped`: not one that holds text of its own (a socket, a device), or gone meanwhile. */
export type FileOutcome = 'read' | 'skipped' | 'folder'

const READ_BYTES = 256 * 1024

/**
 * Looks through a file of a tree in bounded memory. A symbolic link is not followed: what it points to, as git
 * keeps it, is its text.
 *
 * @throws what the file system answers, unless the file is gone
 */
export async function scanFileOfTree(
  detector: Detector,
  path: Buffer,
  onLeak: (found: LeakOnLine) => void
): Promise<FileOutcome> {
  try {
    const stats = await lstat(path)
    if (stats.isDirectory()) return 'folder'
    if (stats.isSymbolicLink()) {
      const scan = scanText(detector, onLeak)
      scan.push(Buffer.from(await readlink(path)))
      scan.end()
      return 'read'
    }
    if (!stats.isFile()) return 'skipped'
    // Not to be kept waiting, or led elsewhere, by what has taken its place since.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
    await scanReadable(detector, handle.createReadStream({ highWaterMark: READ_BYTES }), onLeak)
    return 'read'
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 'skipped'
    throw error
  }
}

/** Looks through a file that somebody named: a pipe (`<(kubectl logs …)`) and a symbolic link are fine. */
export async function scanNamedFile(
  detector: Detector,
  path: string,
  onLeak: (found: LeakOnLine) => void,
  onProgress: (share: number) => void
): Promise<void> {
  const handle = await open(path, constants.O_RDONLY)
  const { size } = await handle.stat()
  await scanReadable(detector, handle.createReadStream({ highWaterMark: READ_BYTES }), onLeak, bytes => {
    if (size > 0) onProgress(Math.min(1, bytes / size))
  })
}

export async function scanReadable(
  detector: Detector,
  readable: Readable | NodeJS.ReadStream,
  onLeak: (found: LeakOnLine) => void,
  onBytes?: (bytes: number) => void
): Promise<void> {
  const scan = scanText(detector, onLeak)
  let bytes = 0
  for await (const piece of readable) {
    scan.push(piece as Buffer)
    bytes += (piece as Buffer).length
    onBytes?.(bytes)
  }
  scan.end()
}

/** What a folder holds. */
export interface Walked {
  /** From the folder; as bytes, since not every name is UTF-8. */
  readonly path: Buffer
  readonly error?: unknown
  /** A repository of its own begins here. */
  readonly isRepository?: boolean
}

const SLASH = Buffer.from('/')

/** Every file below a folder; links are not followed. A folder that can't be read is one entry with its error. */
export async function* walkFolder(folder: string, below = Buffer.alloc(0)): AsyncGenerator<Walked> {
  const entries = await readFolder(pathIn(folder, below))
  if ('error' in entries) {
    yield { path: below, error: entries.error }
    return
  }
  for (const { name, isFolder } of entries.names) {
    const path = below.length === 0 ? name : Buffer.concat([below, SLASH, name])
    if (name.equals(Buffer.from('.git'))) yield { path: below, isRepository: true }
    else if (isFolder) yield* walkFolder(folder, path)
    else yield { path }
  }
}

async function readFolder(path: Buffer) {
  try {
    const entries = await readdir(path, { encoding: 'buffer', withFileTypes: true })
    const names = entries.map(entry => ({ name: entry.name, isFolder: entry.isDirectory() }))
    return { names: names.sort((a, b) => a.name.compare(b.name)) }
  } catch (error) {
    return { error }
  }
}

export function pathIn(folder: string, path: Buffer): Buffer {
  return path.length === 0 ? Buffer.from(folder) : Buffer.concat([Buffer.from(folder), SLASH, path])
}

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path)).isDirectory()
}
