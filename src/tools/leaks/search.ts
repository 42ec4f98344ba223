import { errorCode } from '../../errors.ts'
import { isFolder, pathIn, scanFileOfTree, scanNamedFile, scanReadable, walkFolder } from './files.ts'
import type { Search } from './finding.ts'
import { type Git, openGit, ScanError, splitAt, textsOf } from './git.ts'
import { scanHistory } from './git-history.ts'
import { scanObjects } from './git-objects.ts'
import { findRepository } from './repository.ts'
import { type LeakOnLine, scanPath } from './stream-scanner.ts'

interface PathOptions {
  readonly env: NodeJS.ProcessEnv
  /** Search files that git ignores too. */
  readonly ignored: boolean
  /** Accept a clone without its whole history. */
  readonly incomplete: boolean
}

const NUL = 0

/**
 * Searches a repository (its history and its working tree), another folder, or a file.
 *
 * @returns a description of what was searched
 * @throws ScanError if the path cannot be read, or git fails
 */
export async function searchPath(search: Search, path: string, options: PathOptions): Promise<string> {
  if (!(await readable(path, () => isFolder(path)))) return searchFile(search, path)
  const repository = await findRepository(path, options.env)
  if (repository === undefined) {
    await searchFolder(search, path)
    return `the files of ${path}`
  }

  const { root, git, isPartial, missing } = repository
  if (missing !== undefined && !options.incomplete) search.onProblem(missing)
  await scanHistory(search, git, !isPartial)
  if (root === undefined) return `the history of ${path}`
  await searchWorkingTree(search, root, git, options.ignored)
  return `the history and the working tree of ${root}`
}

/** Searches tracked files, new ones, and on demand those that git ignores. */
async function searchWorkingTree(search: Search, root: string, git: Git, ignored: boolean): Promise<void> {
  const selection = ['--cached', '--others', ...(ignored ? [] : ['--exclude-standard'])]
  const paths: Buffer[] = []
  for await (const path of splitAt(git.stream(['ls-files', '-z', ...selection]), NUL)) paths.push(path)
  for (const [index, path] of paths.entries()) {
    search.onProgress('files', index / paths.length)
    await searchFileOfTree(search, root, path)
  }
}

async function searchFolder(search: Search, folder: string): Promise<void> {
  search.onProgress('files', 0)
  for await (const { path, error, isRepository } of walkFolder(folder)) {
    if (error !== undefined) search.onProblem(`${pathIn(folder, path)}: ${reasonOf(error)}`)
    else if (isRepository === true) search.onNote(separateRepository(pathIn(folder, path)))
    else await searchFileOfTree(search, folder, path)
  }
}

async function searchFileOfTree(search: Search, root: string, path: Buffer): Promise<void> {
  const { detector, findings, onProblem, onNote } = search
  const file = path.toString('utf8')
  const fullPath = pathIn(root, path)
  scanPath(search, { file, inWorkingTree: true })
  try {
    const outcome = await scanFileOfTree(detector, fullPath, ({ line, leak }) =>
      findings.add({ leak, place: 'file', file, line, inWorkingTree: true })
    )
    if (outcome === 'folder') onNote(separateRepository(fullPath))
  } catch (error) {
    onProblem(`${fullPath}: ${reasonOf(error)}`)
  }
}

const separateRepository = (path: Buffer): string =>
  `${path} is a repository of its own: its history was not searched, search it separately`

/** Searches the staged changes. @throws ScanError outside of a repository, or when git fails */
export async function searchStaged(search: Search, path: string, env: NodeJS.ProcessEnv): Promise<string> {
  const { detector, findings } = search
  const git = openGit(path, env, true)
  const base = (await hasCommits(git)) ? 'HEAD' : await git.text('hash-object', '-t', 'tree', '/dev/null')
  const options = ['--cached', '--raw', '-z', '--no-renames', '--no-abbrev']
  const staged = git.stream(['diff-index', ...options, base.trim(), '--'])
  const paths = new Map<string, string[]>()
  let entry: string[] | undefined
  for await (const token of textsOf(splitAt(staged, NUL))) {
    if (entry === undefined) {
      entry = token.slice(1).split(' ')
      continue
    }
    const [, mode, , oid = '', status] = entry
    entry = undefined
    if (status === 'D' || mode === '160000') continue
    paths.set(oid, [...(paths.get(oid) ?? []), token])
    scanPath(search, { file: token })
  }
  const oids = [...paths.keys()].map(oid => `${oid}\n`)
  await scanObjects(git, oids, detector, ({ oid, line, leak }) => {
    for (const file of paths.get(oid) ?? []) findings.add({ leak, place: 'staged file', file, line })
  })
  return 'the staged changes'
}

async function hasCommits(git: Git): Promise<boolean> {
  // Fails outside of a repository. The check below would take that for a repository without a commit.
  await git.text('rev-parse', '--git-dir')
  try {
    await git.text('rev-parse', '--verify', '--quiet', 'HEAD^{commit}')
    return true
  } catch {
    return false
  }
}

/** Searches one file, `-` for standard input. @throws ScanError if it cannot be read */
export async function searchFile(search: Search, path: string): Promise<string> {
  const { detector, findings, onProgress } = search
  const file = path === '-' ? 'standard input' : path
  const onLeak = ({ line, leak }: LeakOnLine): void => findings.add({ leak, place: 'file', file, line })
  await readable(file, () =>
    path === '-'
      ? scanReadable(detector, process.stdin, onLeak)
      : scanNamedFile(detector, path, onLeak, share => onProgress(file, share))
  )
  return file
}

async function readable<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (cause) {
    throw new ScanError(`${path}: ${reasonOf(cause)}`, { cause })
  }
}

/** Without the message of the error: it contains the path, which may contain a secret. */
const reasonOf = (error: unknown): string => `can't be read (${errorCode(error) ?? 'unreadable'})`
