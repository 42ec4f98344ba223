// Tested by test/tools/consumers/parts.test.ts.
import { isOneEditApart } from '../../edit-distance.ts'
import { ActionError } from '../action-error.ts'

/** Names that an error lists at most. */
const MAX_NAMES = 10

/** @returns the error for a consumer that does not exist. It names those that may be meant, or else all */
export function unknownConsumer(name: string, known: readonly string[]): ActionError {
  const near = known.filter(other => isNear(name, other))
  const shown = near.length > 0 ? near : known
  const more = shown.length > MAX_NAMES ? ', …' : ''
  const names = shown.slice(0, MAX_NAMES).join(', ')
  const hint =
    shown.length === 0
      ? 'no consumer reads the log'
      : near.length > 0
        ? `did you mean ${names}${more}?`
        : `known consumers are ${names}${more}`
  return new ActionError('unknown', `unknown consumer ${JSON.stringify(name)}: ${hint}`)
}

function isNear(one: string, other: string): boolean {
  const [a, b] = [one.toLowerCase(), other.toLowerCase()]
  return a === b || isOneEditApart(a, b) || (a !== '' && (a.includes(b) || b.includes(a)))
}

/** @throws ActionError if Redis answers that the consumer group does not exist */
export async function ofExistingGroup<T>(consumer: string, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOGROUP'))) throw error
    throw new ActionError(
      'invalid',
      `${consumer} has no consumer group yet: its first member creates it. Start the consumer, then try again`
    )
  }
}
