import { access } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { type Git, openGit, ScanError } from './git.ts'

export interface Repository {
  readonly git: Git
  /** Where the working tree begins; `undefined` in a bare repository. */
  readonly root: string | undefined
  /** Were files left out when it was cloned? */
  readonly isPartial: boolean
  /** Why a part of the history is not here, and what to do; `undefined` where all of it is. */
  readonly missing: string | undefined
}

/**
 * The repository a folder is in.
 *
 * @returns `undefined` where there is none. That git does not take what is there for one is not the same
 * @throws ScanError when git fails, or is not installed
 */
export async function findRepository(
  folder: string,
  env: NodeJS.ProcessEnv
): Promise<Repository | undefined> {
  const outer = openGit(folder, env)
  let facts: string
  try {
    facts = await outer.text(
      'rev-parse',
      '--is-bare-repository',
      '--is-inside-work-tree',
      '--is-shallow-repository'
    )
  } catch (error) {
    if (!(error instanceof ScanError)) throw error
    if (error.message.includes('ENOENT')) throw new ScanError('git is not installed', { cause: error })
    const isNone = error.message.includes('not a git repository') && !(await hasGitEntry(folder))
    if (isNone) return undefined
    throw error
  }
  const [, isInside, isShallow] = facts.split('\n').map(word => word === 'true')
  const root =
    isInside === true ? (await outer.text('rev-parse', '--show-toplevel')).replace(/\n$/, '') : undefined
  const git = root === undefined ? outer : openGit(root, env)
  const isPartial = await isPartialClone(git)
  return { git, root, isPartial, missing: missingHistory(isShallow === true, isPartial) }
}

/** What git calls no repository although it looks like one is broken, or not ours to read. */
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
  const otherwise = 'or say --incomplete if what is here will do'
  if (isShallow) {
    return `this clone is shallow, most of the history is not here: git fetch --unshallow, ${otherwise}`
  }
  if (!isPartial) return undefined
  return `this clone is partial, some of its files are not here: clone without --filter, ${otherwise}`
}
