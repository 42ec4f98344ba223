// Tested by test/tools/leaks/search.slow.test.ts.
import { access } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { type Git, openGit, ScanError } from './git.ts'

interface Repository {
  readonly git: Git
  /** The root of the working tree; `undefined` in a bare repository. */
  readonly root: string | undefined
  /** Whether it was cloned with a filter. */
  readonly isPartial: boolean
  /** Why a part of the history is missing, and what to do; `undefined` if all of it is here. */
  readonly missing: string | undefined
}

const QUESTIONS = ['--is-inside-work-tree', '--is-shallow-repository']

/**
 * The repository that contains a folder.
 *
 * @returns `undefined` if there is none
 * @throws ScanError when git fails, refuses to read the repository, or is not installed
 */
export async function findRepository(
  folder: string,
  env: NodeJS.ProcessEnv
): Promise<Repository | undefined> {
  const outer = openGit(folder, env)
  let facts: string
  try {
    facts = await outer.text('rev-parse', ...QUESTIONS)
  } catch (error) {
    if (!(error instanceof ScanError)) throw error
    if (error.message.includes('ENOENT')) throw new ScanError('git is not installed', { cause: error })
    const isAbsent = error.message.includes('not a git repository') && !(await hasGitEntry(folder))
    if (isAbsent) return undefined
    throw error
  }
  const [isInside, isShallow] = facts.split('\n').map(word => word === 'true')
  const root =
    isInside === true ? (await outer.text('rev-parse', '--show-toplevel')).replace(/\n$/, '') : undefined
  const git = root === undefined ? outer : openGit(root, env)
  const isPartial = await isPartialClone(git)
  return { git, root, isPartial, missing: missingHistory(isShallow === true, isPartial) }
}

/** With a `.git` entry, a folder that git does not accept is a broken repository, or one it refuses to read. */
async function hasGitEntry(folder: string): Promise<boolean> {
  for (let at = resolve(folder); ; at = dirname(at)) {
    try {
      await access(join(at, '.git'))
      return true
    } catch {
      if (dirname(at) === at) return false
    }
  }
}

async function isPartialClone(git: Git): Promise<boolean> {
  const settings = (await git.text('config', '--list', '-z')).split('\0')
  return settings.some(setting =>
    /^(?:remote\..*\.promisor\ntrue$|extensions\.partialclone\n)/s.test(setting)
  )
}

function missingHistory(isShallow: boolean, isPartial: boolean): string | undefined {
  const otherwise = 'or pass --incomplete to search only what is here'
  if (isShallow) {
    return `this clone is shallow, most of the history is missing: run git fetch --unshallow, ${otherwise}`
  }
  if (!isPartial) return undefined
  return `this clone is partial, some files are missing: clone without --filter, ${otherwise}`
}
