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
  /** How often it was met: lines, and versions of a file. */
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
  const byKey = new Map<
    string,
    { best: Sighting; inWorkingTree: boolean; oldest: Sighting | undefined; times: number }
  >()
  return {
    add: sighting => {
      const key = keyOf(sighting)
      const known = byKey.get(key)
      const inWorkingTree = sighting.inWorkingTree === true
      const dated = sighting.commit === undefined ? undefined : sighting
      if (known === undefined) {
        byKey.set(key, { best: sighting, inWorkingTree, oldest: dated, times: sighting.times ?? 1 })
        return
      }
      known.times += sighting.times ?? 1
      const isOlder = dated !== undefined && (dated.age ?? 0) > (known.oldest?.age ?? -1)
      if (isOlder) known.oldest = dated
      if (inWorkingTree && !known.inWorkingTree) {
        known.inWorkingTree = true
        known.best = sighting
      } else if (isOlder && !known.inWorkingTree) known.best = sighting
    },
    commits: () => [
      ...new Set(
        [...byKey.values()].flatMap(({ oldest }) => (oldest?.commit === undefined ? [] : [oldest.commit]))
      )
    ],
    list: dates =>
      [...byKey.values()]
        .map(({ best, inWorkingTree, oldest, times }) => ({
          ...best.leak,
          place: best.place,
          file: censor(best.file),
          line: best.line,
          commit:
            oldest?.commit === undefined ? undefined : { oid: oldest.commit, date: dates.get(oldest.commit) },
          inWorkingTree,
          entry: best.entry,
          times
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
