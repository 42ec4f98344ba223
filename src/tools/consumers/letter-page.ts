// Tested by test/console/pages/consumers.slow.test.ts.
import type { DeadLetter, DeadLetters } from '../../group/dead-letters.ts'
import { compileFilter, type LetterFilter, startOf } from './choose-letters.ts'

export interface LetterPage {
  readonly letters: readonly DeadLetter[]
  /** What the next page begins after; `undefined` on the last page. */
  readonly next: string | undefined
  /** The search ended early, to answer in time: the next page continues it. */
  readonly isPartial: boolean
}

const PAGE_LETTERS = 50
/** Dead letters per call, usually about 2 KB each. */
const SCANNED_AT_ONCE = 200
/** Searched for one page, where few match the filter. */
const MAX_SCANNED = 2000

/**
 * A page of the dead letters that match, oldest first.
 *
 * @throws ActionError for a glob that is not one, and the error of Redis
 */
export async function letterPage(
  letters: DeadLetters,
  consumer: string,
  filter: LetterFilter
): Promise<LetterPage> {
  const matches = compileFilter(filter)
  const found: DeadLetter[] = []
  let cursor = startOf(filter)
  for (let scanned = 0; scanned < MAX_SCANNED; ) {
    const page = await letters.list(consumer, SCANNED_AT_ONCE, cursor)
    scanned += page.length
    for (const letter of page) {
      if (!matches(letter)) continue
      if (found.length === PAGE_LETTERS)
        return { letters: found, next: found.at(-1)?.letter, isPartial: false }
      found.push(letter)
    }
    if (page.length < SCANNED_AT_ONCE) return { letters: found, next: undefined, isPartial: false }
    cursor = page.at(-1)?.letter
  }
  return { letters: found, next: cursor, isPartial: true }
}
