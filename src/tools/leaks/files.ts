// Tested by test/tools/leaks/search.slow.test.ts.
import { constants } from 'node:fs'
import { lstat, open, readdir, readlink, stat } from 'node:fs/promises'
import { errorCode } from '../../errors.ts'
import type { Detector } from './detector.ts'
import { createStreamScanner, type LeakOnLine, scanBuffer } from './stream-scanner.ts'

/** `skipped`: a socket or a device, or deleted meanwhile. */
type FileOutcome = 'read' | 'skipped' | 'folder'

const READ_BYTES = 256 * 1024

/**
 * Searches a file of a tree in bounded memory. A symbolic link is not followed: its target is its text, as in git.
 *
 * @throws the error of the file system, unless the file no longer exists
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
      scanBuffer(detector, Buffer.from(await readlink(path)), onLeak)
      return 'read'
    }
    if (!stats.isFile()) return 'skipped'
    // The file may have been replaced since: a pipe must not block, and a link must not be followed.
    const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW)
    await scanReadable(detector, handle.createReadStream({ highWaterMark: READ_BYTES }), onLeak)
    return 'read'
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 'skipped'
    throw error
  }
}

/** Searches a file that the user named: pipes (`<(kubectl logs …)`) and symbolic links are allowed. */
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
  pieces: AsyncIterable<Buffer>,
  onLeak: (found: LeakOnLine) => void,
  onBytes?: (bytes: number) => void
): Promise<void> {
  const scanner = createStreamScanner(detector, onLeak)
  let bytes = 0
  for await (const piece of pieces) {
    scanner.push(piece)
    bytes += piece.length
    onBytes?.(bytes)
  }
  scanner.end()
}

/** A file below a folder, a folder that cannot be read (`error`), or one that is a repository. */
interface WalkedEntry {
  /** Relative to the folder. A Buffer, since not every name is UTF-8. */
  readonly path: Buffer
  readonly error?: unknown
  readonly isRepository?: boolean
}

const SLASH = Buffer.from('/')

/** All files below a folder, sorted by name within each folder. Symbolic links are not followed. */
export async function* walkFolder(folder: string, below = Buffer.alloc(0)): AsyncGenerator<WalkedEntry> {
  try {
    const entries = await readdir(pathIn(folder, below), { encoding: 'buffer', withFileTypes: true })
    for (const entry of entries.sort((a, b) => a.name.compare(b.name))) {
      const path = below.length === 0 ? entry.name : Buffer.concat([below, SLASH, entry.name])
      if (entry.name.equals(Buffer.from('.git'))) yield { path: below, isRepository: true }
      else if (entry.isDirectory()) yield* walkFolder(folder, path)
      else yield { path }
    }
  } catch (error) {
    yield { path: below, error }
  }
}

export function pathIn(folder: string, path: Buffer): Buffer {
  return path.length === 0 ? Buffer.from(folder) : Buffer.concat([Buffer.from(folder), SLASH, path])
}

export async function isFolder(path: string): Promise<boolean> {
  return (await stat(path)).isDirectory()
}
