// Tested by test/cli/consumers/show.slow.test.ts and test/console/api.slow.test.ts.
import type { DeadLetter } from '../../group/dead-letters.ts'
import { eventJson } from '../events/event-json.ts'
import type { ConsumerDetails } from './actions.ts'

/** A consumer with its details: the fields of the list, and more. */
export const detailsJson = ({ status, ...rest }: ConsumerDetails) => ({ ...status, ...rest })

/** Dead letters: `id` is what `replay` and `drop` take, `event` the CloudEvent. */
export const deadLettersJson = (letters: readonly DeadLetter[]) =>
  letters.map(({ letter, event, ...rest }) => ({ id: letter, ...rest, event: eventJson(event) }))
