// Tested by test/cli/consumers/dead-letters.slow.test.ts.
import { compileTypeGlobs } from '../../event-types.ts'
import type { DeadLetter, DeadLetterReason, DeadLetters } from '../../group/dead-letters.ts'
import { entryTimeMs, isEntryId } from '../../log/position.ts'
import { compareIds } from '../../log/read-range.ts'
import { ActionError } from '../action-error.ts'

export const letterReasons: readonly DeadLetterReason[] = ['failed', 'malformed', 'interrupted']

/** Dead letters that have all of these properties; an empty filter chooses all. */
export interface LetterFilter {
  /** Globs over `<object_type>.<metric>`. */
  readonly types?: readonly string[] | undefined
  /** Only those added since then, unix milliseconds. */
  readonly sinceMs?: number | undefined
  readonly reason?: DeadLetterReason | undefined
  /** Only those added after this dead letter. */
  readonly after?: string | undefined
}

/** Ids of dead letters, or a filter. */
export type LetterChoice = readonly string[] | LetterFilter

interface ChosenPage {
  readonly letters: readonly DeadLetter[]
  /** Ids that no dead letter has. */
  readonly unknown: readonly string[]
}

const PAGE_LETTERS = 200
const LAST_SEQUENCE = '18446744073709551615'

/**
 * Pages of the chosen dead letters, oldest first. Those added after the first page was asked for are left out: an event
 * that fails again during a replay becomes a new dead letter, which must not be replayed again.
 *
 * @throws ActionError for a glob that is not one, and the error of Redis
 */
export async function* chosenLetters(
  letters: DeadLetters,
  consumer: string,
  choice: LetterChoice
): AsyncGenerator<ChosenPage> {
  if (isIds(choice)) {
    const ids = [...new Set(choice)]
    for (let first = 0; first < ids.length; first += PAGE_LETTERS) {
      yield await lettersOf(letters, consumer, ids.slice(first, first + PAGE_LETTERS))
    }
    return
  }
  const matches = compileFilter(choice)
  // An id, not a time: the clock of Redis may differ from ours.
  const newest = await letters.newest(consumer)
  if (newest === undefined) return
  let after = startOf(choice)
  for (;;) {
    const page = await letters.list(consumer, PAGE_LETTERS, after)
    const old = page.filter(({ letter }) => compareIds(letter, newest) <= 0)
    const wanted = old.filter(matches)
    if (wanted.length > 0) yield { letters: wanted, unknown: [] }
    if (old.length < PAGE_LETTERS) return
    after = old.at(-1)?.letter
  }
}

/** What the dead letters of a filter come after; `undefined`: nothing, they begin with the oldest. */
export function startOf({ after, sinceMs = 0 }: LetterFilter): string | undefined {
  // No id is before 1970.
  if (sinceMs < 1 || (after !== undefined && entryTimeMs(after) >= sinceMs)) return after
  return `${Math.floor(sinceMs) - 1}-${LAST_SEQUENCE}`
}

/** @returns how many dead letters `chosenLetters` yields, or about so many. @throws as it does */
export async function countChosen(
  letters: DeadLetters,
  consumer: string,
  choice: LetterChoice
): Promise<number> {
  if (isIds(choice)) return choice.length
  if (Object.values(choice).every(value => value === undefined)) return letters.count(consumer)
  let count = 0
  for await (const page of chosenLetters(letters, consumer, choice)) count += page.letters.length
  return count
}

const isIds = (choice: LetterChoice): choice is readonly string[] => Array.isArray(choice)

async function lettersOf(
  letters: DeadLetters,
  consumer: string,
  ids: readonly string[]
): Promise<ChosenPage> {
  const found = await Promise.all(ids.map(id => (isEntryId(id) ? letters.get(consumer, id) : undefined)))
  return {
    letters: found.filter(letter => letter !== undefined),
    unknown: ids.filter((_, index) => found[index] === undefined)
  }
}

/** @throws ActionError for a glob that is not one */
export function compileFilter({ types, reason }: LetterFilter): (letter: DeadLetter) => boolean {
  try {
    const matchesType = compileTypeGlobs(types)
    return letter => matchesType(letter.type) && (reason === undefined || letter.reason === reason)
  } catch (error) {
    throw new ActionError('invalid', error instanceof Error ? error.message : 'invalid types')
  }
}
