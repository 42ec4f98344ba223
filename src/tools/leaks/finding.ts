import type { Leak } from './detector.ts'

/** What kind of thing `file` names. */
export type Place =
  | 'file'
  | 'staged file'
  | 'file name'
  | 'commit message'
  | 'tag message'
  | 'unreachable object'
  | 'stream'

export interface CommitRef {
  readonly oid: string
  /** ISO 8601, with the committer's offset; `undefined` where git did not say. */
  readonly date: string | undefined
}

/** One value in one place, however many versions of that place there are. */
export interface Finding extends Leak {
  readonly place: Place
  /** A path from the root of what was looked through, or a name that says what else it is. */
  readonly file: string
  /** From 1: in the working tree where it is there, else in the commit. */
  readonly line: number
  /** The oldest commit that has it; `undefined` where none has. */
  readonly commit: CommitRef | undefined
  /** Only asked of files of a repository. */
  readonly inWorkingTree: boolean
  /** Of a stream: the id of the first entry that has it. */
  readonly entry: string | undefined
  /** How often it was met, lines and versions of a file: in the history, or in the working tree if that has more. */
  readonly times: number
}

/** Where a leak was met, once. */
export interface Sighting {
  readonly leak: Leak
  readonly place: Place
  readonly file: string
  readonly line: number
  readonly commit?: string | undefined
  /** Of two commits the one with the greater age is the older; the working tree has none. */
  readonly age?: number
  readonly inWorkingTree?: boolean
  readonly entry?: string
  /** How often it was met there; once unless told otherwise. */
  readonly times?: number
}

/** Puts what belongs together into one finding; its memory grows with what is found only. */
export interface FindingCollection {
  readonly add: (sighting: Sighting) => void
  /** In the order of files and lines. @param dates of commits, by id */
  readonly list: (dates: ReadonlyMap<string, string>) => readonly Finding[]
  readonly commits: () => readonly string[]
}

/** @param censor masks what must not be shown: a file's name may hold a secret too */
export function collectFindings(censor: (text: string) => string): FindingCollection {
  interface Known {
    best: Sighting
    oldest: Sighting | undefined
    inWorkingTree: boolean
    timesThere: number
    timesElsewhere: number
  }
  const byKey = new Map<string, Known>()
  return {
    add: sighting => {
      const key = keyOf(sighting)
      const known = byKey.get(key) ?? {
        best: sighting,
        oldest: undefined,
        inWorkingTree: false,
        timesThere: 0,
        timesElsewhere: 0
      }
      byKey.set(key, known)
      const { commit, age = 0, times = 1, inWorkingTree } = sighting
      const isOlder = commit !== undefined && age > (known.oldest?.age ?? -1)
      if (isOlder) known.oldest = sighting
      if (inWorkingTree === true) known.timesThere += times
      else known.timesElsewhere += times
      if (inWorkingTree === true ? !known.inWorkingTree : isOlder && !known.inWorkingTree)
        known.best = sighting
      known.inWorkingTree ||= inWorkingTree === true
    },
    commits: () => [
      ...new Set(
        [...byKey.values()].flatMap(({ oldest }) => (oldest?.commit === undefined ? [] : [oldest.commit]))
      )
    ],
    list: dates =>
      [...byKey.values()]
        .map(({ best, inWorkingTree, oldest, timesThere, timesElsewhere }) => ({
          ...best.leak,
          place: best.place,
          file: censor(best.file),
          line: best.line,
          commit:
            oldest?.commit === undefined ? undefined : { oid: oldest.commit, date: dates.get(oldest.commit) },
          inWorkingTree,
          entry: best.entry,
          // The working tree is mostly what the history has already.
          times: Math.max(timesThere, timesElsewhere)
        }))
        .sort(byPlace)
  }
}

function keyOf({ leak, place, file, commit }: Sighting): string {
  const message = place === 'commit message' || place === 'tag message' ? commit : undefined
  return JSON.stringify([leak.rule, leak.fingerprint, leak.encoding, place, file, message])
}

function byPlace(a: Finding, b: Finding): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1
  return a.line - b.line
}
