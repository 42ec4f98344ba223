// Tested by test/tools/leaks/git-history.slow.test.ts.
import type { Detector, Leak } from './detector.ts'

/** The kind of place that `file` names. */
export type Place =
  | 'file'
  | 'staged file'
  | 'file name'
  | 'commit message'
  | 'tag message'
  | 'unreachable object'
  | 'stream'

/** One value in one place, in all its versions. */
export interface Finding extends Leak {
  readonly place: Place
  /** A path from the root of the search, or the name of another place. */
  readonly file: string
  /** From 1: in the working tree if the value is there, else in the oldest commit. */
  readonly line: number
  /** The oldest commit that contains the value; `undefined` if none does. The date is ISO 8601. */
  readonly commit: { readonly oid: string; readonly date: string | undefined } | undefined
  /** False for everything but files. */
  readonly inWorkingTree: boolean
  /** In a stream: the id of the first entry that contains the value. */
  readonly entry: string | undefined
  /** Occurrences: in the history, or in the working tree if it has more. */
  readonly times: number
}

/** One occurrence of a leak. */
export interface Sighting {
  readonly leak: Leak
  readonly place: Place
  readonly file: string
  readonly line: number
  readonly commit?: string | undefined
  /** Position of the commit, counted back from the newest: of two commits the older one has the greater age. */
  readonly age?: number
  readonly inWorkingTree?: boolean
  readonly entry?: string
  /** Default 1. */
  readonly times?: number
}

/** Combines sightings into findings. Its memory grows only with the number of findings. */
export interface FindingCollection {
  readonly add: (sighting: Sighting) => void
  /** Sorted by file and line. @param dates of commits, by id */
  readonly list: (dates: ReadonlyMap<string, string>) => readonly Finding[]
  /** The ids of the commits in the list. */
  readonly commits: () => readonly string[]
}

/** One run of `leaks`: the detector, and where results go. */
export interface Search {
  readonly detector: Detector
  readonly findings: FindingCollection
  /** Reports what could not be searched: without findings, the result is then not "clean" but unknown. */
  readonly onProblem: (text: string) => void
  /** Reports what was left out on purpose. */
  readonly onNote: (text: string) => void
  /** @param share of the step, from 0 to 1 */
  readonly onProgress: (step: string, share: number) => void
}

/** @param redact masks secrets in the names of files */
export function collectFindings(redact: (text: string) => string): FindingCollection {
  interface Known {
    best: Sighting
    oldest: Sighting | undefined
    inWorkingTree: boolean
    timesInTree: number
    timesElsewhere: number
  }
  const byKey = new Map<string, Known>()
  return {
    add: sighting => {
      const { commit, age = 0, times = 1, inWorkingTree = false } = sighting
      const key = keyOf(sighting)
      const known = byKey.get(key) ?? {
        ...{ best: sighting, oldest: undefined },
        ...{ inWorkingTree: false, timesInTree: 0, timesElsewhere: 0 }
      }
      byKey.set(key, known)
      const isOlder = commit !== undefined && age > (known.oldest?.age ?? -1)
      if (isOlder) known.oldest = sighting
      if ((inWorkingTree || isOlder) && !known.inWorkingTree) known.best = sighting
      known.inWorkingTree ||= inWorkingTree
      known[inWorkingTree ? 'timesInTree' : 'timesElsewhere'] += times
    },
    commits: () => [...new Set([...byKey.values()].flatMap(({ oldest }) => oldest?.commit ?? []))],
    list: dates =>
      [...byKey.values()]
        .map(({ best, inWorkingTree, oldest, timesInTree, timesElsewhere }) => ({
          ...best.leak,
          place: best.place,
          file: redact(best.file),
          line: best.line,
          commit:
            oldest?.commit === undefined ? undefined : { oid: oldest.commit, date: dates.get(oldest.commit) },
          inWorkingTree,
          entry: best.entry,
          // Most of the working tree is in the history too: the sum would count it twice.
          times: Math.max(timesInTree, timesElsewhere)
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
