import type { Detector } from './detector.ts'
import type { FindingCollection } from './finding.ts'
import { type Git, splitAt, textsOf } from './git.ts'
import { listObjects, type ObjectLeak, scanObjects } from './git-objects.ts'
import { scanPath } from './stream-scanner.ts'

const NUL = 0
const NEWLINE = 10
const GITLINK_MODE = '160000'

export interface HistoryOptions {
  readonly git: Git
  readonly detector: Detector
  readonly findings: FindingCollection
  /** Has everything to be there that a commit names? Of a partial clone it can't be asked. */
  readonly complete: boolean
  /** Told how much of the way is done, from 0 to 1. */
  readonly onProgress: (share: number) => void
}

/** Reading the objects takes most of the time, walking the commits the rest. */
const OBJECTS_SHARE = 0.75

/**
 * Looks through the whole history: every object git has, and every name a file has had. Each object is read once;
 * then one walk over the commits tells which of them brought what was found.
 *
 * @throws ScanError when git fails
 */
export async function scanHistory({
  git,
  detector,
  findings,
  complete,
  onProgress
}: HistoryOptions): Promise<void> {
  const total = await countObjects(git)
  const leaks = new Map<string, KnownLeak[]>()
  const oids = listObjects(git, seen => onProgress(OBJECTS_SHARE * Math.min(1, seen / Math.max(1, total))))
  await scanObjects(git, oids, detector, found => remember(leaks, found))

  // What is listed above is what is there: whether that is all, git knows.
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
        findings.add({
          leak,
          place: 'commit message',
          file: 'commit message',
          line,
          commit: change.commit,
          age,
          times
        })
      }
      continue
    }
    const { commit, path, oid, isNew } = change
    for (const { line, leak, times } of leaks.get(oid) ?? []) {
      located.add(oid)
      findings.add({ leak, place: 'file', file: path, line, commit, age, times })
    }
    if (isNew) scanPath(detector, findings, { file: path, commit, age })
  }

  const staged = await stagedPaths(git, leaks)
  for (const [oid, found] of leaks) {
    if (located.has(oid)) continue
    for (const objectLeak of found) addWithoutCommit(objectLeak, staged.get(oid), findings)
  }
  onProgress(1)
}

/** A value that an object holds, where it is first and how often: a dump may have it a million times. */
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

/** One commit (no path), or one file it changed; `isNew`: the name was not there before. */
export interface Change {
  readonly commit: string
  readonly path: string | undefined
  readonly oid: string
  readonly isNew: boolean
}

/** No commit before one that follows it, whatever their clocks said. Of a merge only what neither side had: the rest came with the sides. */
async function* listChanges(git: Git): AsyncGenerator<Change> {
  const commits = git.stream(['rev-list', '--topo-order', '--all', '--reflog'])
  const changes = git.stream(
    ['diff-tree', '--stdin', '--root', '-r', '-c', '--raw', '-z', '--no-renames', '--no-abbrev'],
    asText(commits)
  )
  yield* parseChanges(textsOf(splitAt(changes, NUL)))
}

async function* asText(pieces: AsyncIterable<Buffer>): AsyncGenerator<string> {
  for await (const piece of pieces) yield piece.toString('latin1')
}

/** Reads `diff-tree --raw -z`: a commit's id, and for each file its modes and ids, a status, and then its path. */
export async function* parseChanges(tokens: AsyncIterable<string>): AsyncGenerator<Change> {
  let commit = ''
  let entry: string | undefined
  for await (const token of tokens) {
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

/** Where in the index the objects are that have leaks. */
async function stagedPaths(
  git: Git,
  leaks: ReadonlyMap<string, unknown>
): Promise<ReadonlyMap<string, string>> {
  const paths = new Map<string, string>()
  if (leaks.size === 0) return paths
  for await (const line of textsOf(splitAt(git.stream(['ls-files', '--stage', '-z']), NUL))) {
    const match = /^\d+ ([0-9a-f]+) \d\t(.*)$/s.exec(line)
    const [, oid = '', path = ''] = match ?? []
    if (leaks.has(oid)) paths.set(oid, path)
  }
  return paths
}

/** When commits were made. */
export async function commitDates(git: Git, oids: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const dates = new Map<string, string>()
  if (oids.length === 0) return dates
  const lines = git.stream(['log', '--no-walk=unsorted', '--stdin', '--format=%H %cI'], oneByOne(oids))
  for await (const line of textsOf(splitAt(lines, NEWLINE))) {
    const [oid = '', date = ''] = line.split(' ')
    dates.set(oid, date)
  }
  return dates
}

async function* oneByOne(oids: readonly string[]): AsyncGenerator<string> {
  for (const oid of oids) yield `${oid}\n`
}
