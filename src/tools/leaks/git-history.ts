import type { FindingCollection, Search } from './finding.ts'
import { type Git, splitAt, textsOf } from './git.ts'
import { listObjects, type ObjectLeak, scanObjects } from './git-objects.ts'
import { scanPath } from './stream-scanner.ts'

const NUL = 0
const NEWLINE = 10
const GITLINK_MODE = '160000'

/** The part of the time that reading the objects takes; walking the commits takes the rest. */
const OBJECTS_SHARE = 0.75

/**
 * Searches the whole history: every object that git has, and every name that a file had. Each object is read once;
 * one walk over the commits then finds the commits that added the leaks.
 *
 * @param complete whether every object that a commit names must exist: false for a partial clone
 * @throws ScanError when git fails
 */
export async function scanHistory(search: Search, git: Git, complete: boolean): Promise<void> {
  const { detector, findings } = search
  const onProgress = (share: number): void => search.onProgress('history', share)
  const total = await countObjects(git)
  const leaks = new Map<string, KnownLeak[]>()
  const oids = listObjects(git, seen => onProgress(OBJECTS_SHARE * Math.min(1, seen / Math.max(1, total))))
  await scanObjects(git, oids, detector, found => remember(leaks, found))

  // The objects above are those that exist. This fails if a commit needs one that is missing.
  if (complete) await git.text('rev-list', '--all', '--reflog', '--objects', '--quiet')
  const commits = Number(await git.text('rev-list', '--all', '--reflog', '--count'))
  let age = 0
  const located = new Set<string>()
  for await (const change of listChanges(git)) {
    if (change.path === undefined) {
      age++
      if (age % 500 === 0) onProgress(OBJECTS_SHARE + ((1 - OBJECTS_SHARE) * age) / Math.max(1, commits))
      for (const { type, line, leak, times } of leaks.get(change.commit) ?? []) {
        if (type !== 'commit') continue
        located.add(change.commit)
        const where = { place: 'commit message', file: 'commit message', commit: change.commit } as const
        findings.add({ ...where, leak, line, age, times })
      }
      continue
    }
    const { commit, path, oid, isNew } = change
    for (const { line, leak, times } of leaks.get(oid) ?? []) {
      located.add(oid)
      findings.add({ leak, place: 'file', file: path, line, commit, age, times })
    }
    if (isNew) scanPath(search, { file: path, commit, age })
  }

  const staged = await stagedPaths(git, leaks)
  for (const [oid, found] of leaks) {
    if (located.has(oid)) continue
    for (const objectLeak of found) addWithoutCommit(objectLeak, staged.get(oid), findings)
  }
  onProgress(1)
}

/** The first occurrence of a value in an object, and the count: a dump may contain it a million times. */
type KnownLeak = ObjectLeak & { times: number }

function remember(leaks: Map<string, KnownLeak[]>, found: ObjectLeak): void {
  const known = leaks.get(found.oid) ?? []
  const same = known.find(
    ({ leak }) => leak.fingerprint === found.leak.fingerprint && leak.encoding === found.leak.encoding
  )
  if (same !== undefined) same.times++
  else leaks.set(found.oid, [...known, { ...found, times: 1 }])
}

function addWithoutCommit(
  { oid, type, line, tagName, leak, times }: KnownLeak,
  stagedPath: string | undefined,
  findings: FindingCollection
): void {
  if (type === 'tag') {
    findings.add({ leak, place: 'tag message', file: `tag message of ${tagName ?? oid}`, line, times })
  } else if (stagedPath !== undefined) {
    findings.add({ leak, place: 'staged file', file: stagedPath, line, times })
  } else {
    findings.add({ leak, place: 'unreachable object', file: `${type} ${oid}`, line, times })
  }
}

async function countObjects(git: Git): Promise<number> {
  const counts = await git.text('count-objects', '-v')
  const count = (name: string): number => Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(counts)?.[1] ?? 0)
  return count('count') + count('in-pack')
}

/** A commit (no path), or a file it changed. */
interface Change {
  readonly commit: string
  readonly path: string | undefined
  readonly oid: string
  /** The name did not exist before. */
  readonly isNew: boolean
}

/**
 * All commits, each before its parents whatever their dates are. Of a merge only the files that differ from both sides:
 * the others are changes of the sides.
 */
async function* listChanges(git: Git): AsyncGenerator<Change> {
  const commits = git.stream(['rev-list', '--topo-order', '--all', '--reflog'])
  const options = ['--stdin', '--root', '-r', '-c', '--raw', '-z', '--no-renames', '--no-abbrev']
  const changes = git.stream(['diff-tree', ...options], commits)
  let commit = ''
  let entry: string | undefined
  // The id of a commit, and for each file its modes, ids and status, then its path.
  for await (const token of textsOf(splitAt(changes, NUL))) {
    if (entry !== undefined) {
      const sides = /^:+/.exec(entry)?.[0].length ?? 1
      const words = entry.slice(sides).split(' ')
      const mode = words[sides]
      const oid = words[2 * sides + 1] ?? ''
      if (mode !== GITLINK_MODE) yield { commit, path: token, oid, isNew: /^A+$/.test(words.at(-1) ?? '') }
      entry = undefined
    } else if (token.startsWith(':')) entry = token
    else {
      commit = token
      yield { commit, path: undefined, oid: '', isNew: false }
    }
  }
}

/** The paths of staged objects that contain leaks. */
async function stagedPaths(
  git: Git,
  leaks: ReadonlyMap<string, unknown>
): Promise<ReadonlyMap<string, string>> {
  const paths = new Map<string, string>()
  if (leaks.size === 0) return paths
  for await (const line of textsOf(splitAt(git.stream(['ls-files', '--stage', '-z']), NUL))) {
    const [, oid = '', path = ''] = /^\d+ ([0-9a-f]+) \d\t(.*)$/s.exec(line) ?? []
    if (leaks.has(oid)) paths.set(oid, path)
  }
  return paths
}

/** The dates of commits, by id. */
export async function commitDates(git: Git, oids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const dates = new Map<string, string>()
  if (oids.length === 0) return dates
  const lines = git.stream(
    ['log', '--no-walk=unsorted', '--stdin', '--format=%H %cI'],
    oids.map(oid => `${oid}\n`)
  )
  for await (const line of textsOf(splitAt(lines, NEWLINE))) {
    const [oid = '', date = ''] = line.split(' ')
    dates.set(oid, date)
  }
  return dates
}
