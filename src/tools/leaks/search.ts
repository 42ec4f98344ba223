import { errorCode } from '../../errors.ts'
import type { Detector } from './detector.ts'
import { isFolder, pathIn, scanFileOfTree, scanNamedFile, scanReadable, walkFolder } from './files.ts'
import type { FindingCollection } from './finding.ts'
import { type Git, openGit, splitAt, textsOf } from './git.ts'
import { scanHistory } from './git-history.ts'
import { scanObjects } from './git-objects.ts'
import { findRepository } from './repository.ts'
import { ScanError } from './scan-error.ts'
import { scanName } from './scan-path.ts'

/** One run: what is looked for, and where what is found and what went wrong is put. */
export interface Search {
  readonly detector: Detector
  readonly findings: FindingCollection
  /** Told of what could not be looked through although it should: then nothing found means nothing. */
  readonly onProblem: (text: string) => void
  /** Told of what was left out on purpose. */
  readonly onNote: (text: string) => void
  /** @param share of the step, from 0 to 1 */
  readonly onProgress: (step: string, share: number) => void
}

export interface PathOptions {
  readonly env: NodeJS.ProcessEnv
  /** Are files that git ignores looked through too? */
  readonly ignored: boolean
  /** Is a clone without all of its history good enough? */
  readonly incomplete: boolean
}

const NUL = 0

/**
 * Looks through a repository (its history and its working tree), a folder that is none, or a file.
 *
 * @returns in words, what was looked through
 * @throws ScanError when that can't be told, or git fails
 */
export async function searchPath(search: Search, path: string, options: PathOptions): Promise<string> {
  const { detector, findings, onProblem, onProgress } = search
  if (!(await readable(path, () => isFolder(path)))) return searchFile(search, path)
  const repository = await findRepository(path, options.env)
  if (repository === undefined) {
    await searchFolder(search, path)
    return `the files of ${path}`
  }

  const { root, git, isPartial, missing } = repository
  if (missing !== undefined && !options.incomplete) onProblem(missing)
  await scanHistory({
    git,
    detector,
    findings,
    complete: !isPartial,
    onProgress: share => onProgress('history', share)
  })
  if (root === undefined) return `the history of ${path}`
  await searchWorkingTree(search, root, git, options.ignored)
  return `the history and the working tree of ${root}`
}

/** Files of the working tree: what git knows, what it does not know, and on demand what it ignores. */
async function searchWorkingTree(search: Search, root: string, git: Git, ignored: boolean): Promise<void> {
  const paths: Buffer[] = []
  const others = ignored ? ['--others'] : ['--others', '--exclude-standard']
  for await (const path of splitAt(git.stream(['ls-files', '-z', '--cached', ...others]), NUL))
    paths.push(path)
  await searchTree(search, root, paths, paths.length)
}

async function searchFolder(search: Search, folder: string): Promise<void> {
  const { onProblem, onNote } = search
  async function* paths(): AsyncGenerator<Buffer> {
    for await (const { path, error, isRepository } of walkFolder(folder)) {
      if (error !== undefined) onProblem(`${pathIn(folder, path)}: ${reasonOf(error)}`)
      else if (isRepository === true) onNote(ownRepository(pathIn(folder, path)))
      else yield path
    }
  }
  await searchTree(search, folder, paths(), 0)
}

async function searchTree(
  { detector, findings, onProblem, onNote, onProgress }: Search,
  root: string,
  paths: AsyncIterable<Buffer> | Iterable<Buffer>,
  count: number
): Promise<void> {
  let done = 0
  for await (const path of paths) {
    const file = path.toString('utf8')
    const fullPath = pathIn(root, path)
    onProgress('files', count === 0 ? 0 : done++ / count)
    scanName(detector, findings, { file, inWorkingTree: true })
    try {
      const outcome = await scanFileOfTree(detector, fullPath, ({ line, leak }) =>
        findings.add({ leak, place: 'file', file, line, inWorkingTree: true })
      )
      if (outcome === 'folder') onNote(ownRepository(fullPath))
    } catch (error) {
      onProblem(`${fullPath}: ${reasonOf(error)}`)
    }
  }
  onProgress('files', 1)
}

const ownRepository = (path: Buffer): string =>
  `${path} is a repository of its own: its history was left out, look through it by itself`

/** Looks through what is about to be committed. @throws ScanError outside of a repository, or when git fails */
export async function searchStaged(search: Search, path: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { detector, findings } = search
  const git = openGit(path, env, true)
  const base = (await hasCommits(git)) ? 'HEAD' : await git.text('hash-object', '-t', 'tree', '/dev/null')
  const staged = git.stream([
    'diff-index',
    '--cached',
    '--raw',
    '-z',
    '--no-renames',
    '--no-abbrev',
    base.trim(),
    '--'
  ])
  const paths = new Map<string, string[]>()
  let entry: string[] = []
  for await (const token of textsOf(splitAt(staged, NUL))) {
    if (token.startsWith(':') && entry.length === 0) {
      entry = token.slice(1).split(' ')
      continue
    }
    const [, mode, , oid = '', status] = entry
    entry = []
    if (status === 'D' || mode === '160000') continue
    paths.set(oid, [...(paths.get(oid) ?? []), token])
    scanName(detector, findings, { file: token })
  }
  async function* oids(): AsyncGenerator<string> {
    for (const oid of paths.keys()) yield `${oid}\n`
  }
  if (paths.size > 0) {
    await scanObjects(git, oids(), detector, ({ oid, line, leak }) => {
      for (const file of paths.get(oid) ?? []) findings.add({ leak, place: 'staged file', file, line })
    })
  }
  return 'what is staged'
}

async function hasCommits(git: Git): Promise<boolean> {
  // In a repository without a commit, and only there, HEAD is a name that nothing has yet.
  const refs = await git.text('rev-parse', '--git-dir')
  if (refs === '') return false
  try {
    await git.text('rev-parse', '--verify', '--quiet', 'HEAD^{commit}')
    return true
  } catch {
    return false
  }
}

/** Looks through one file, `-` for standard input. @throws ScanError when it can't be read */
export async function searchFile(search: Search, path: string): Promise<string> {
  const { detector, findings, onProgress } = search
  const file = path === '-' ? 'standard input' : path
  await readable(file, () =>
    path === '-'
      ? scanReadable(detector, process.stdin, add)
      : scanNamedFile(detector, path, add, share => onProgress(file, share))
  )
  return file

  function add({ line, leak }: { line: number; leak: Parameters<typeof findings.add>[0]['leak'] }): void {
    findings.add({ leak, place: 'file', file, line })
  }
}

async function readable<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    throw new ScanError(`${path}: ${reasonOf(cause)}`, { cause })
  }
}

/** Why a file can't be read, without its path, which may hold what must not be shown. */
function reasonOf(error: unknown): string {
  const code = errorCode(error) ?? 'unreadable'
  return `can't be read (${code})`
}
