// Tested by test/cli/consumers/command.slow.test.ts.
import { formatDuration } from '../../duration.ts'
import { withExactNumbers } from '../../exact-json.ts'
import type { DeadLetter } from '../../group/dead-letters.ts'
import { table } from '../table.ts'
import type { ConsumerList } from './actions.ts'

export function consumersText({ consumers, parked }: ConsumerList): string {
  const parkedNote = parked === 0 ? '' : `\nparked deliveries: ${parked} (cio-webhook consumers parked)\n`
  if (consumers.length === 0) return `no consumer reads the log\n${parkedNote}`
  const rows = table(consumers, [
    { heading: 'CONSUMER', value: ({ name }) => name },
    { heading: 'TYPE', value: ({ type }) => type },
    { heading: 'STATE', value: ({ state }) => state },
    { heading: 'LAG', value: ({ lag }) => lag ?? '?' },
    { heading: 'PENDING', value: ({ pending, queued }) => pending + queued },
    {
      heading: 'OLDEST',
      value: ({ oldestAgeMs }) => (oldestAgeMs === undefined ? undefined : formatDuration(oldestAgeMs))
    },
    { heading: 'DEAD', value: ({ dead }) => dead },
    { heading: 'FAILURES', value: ({ failures }) => failures },
    { heading: 'LAST FAILURE', value: ({ lastFailure }) => lastFailure },
    { heading: 'MEMBERS', value: ({ members }) => members }
  ])
  const abandoned = consumers.filter(({ state }) => state === 'no_members').map(({ name }) => name)
  const abandonedNote =
    abandoned.length === 0
      ? ''
      : `\nno active members: ${abandoned.join(', ')}. The log keeps all events that they have not read. Start a member, or delete the group: cio-webhook consumers remove <name>\n`
  return rows + abandonedNote + parkedNote
}

/** Dead letters as `--json` prints them: `id` is what `replay` and `drop` take, `event` the CloudEvent. */
export const deadLettersJson = (letters: readonly DeadLetter[]) =>
  letters.map(({ letter, event, ...rest }) => ({ id: letter, ...rest, event: eventJson(event) }))

export function deadLettersText(letters: readonly DeadLetter[]): string {
  if (letters.length === 0) return 'no dead letters\n'
  return table(letters, [
    { heading: 'ID', value: ({ letter }) => letter },
    { heading: 'SINCE', value: ({ letter }) => timeOf(letter) },
    { heading: 'EVENT', value: ({ event }) => eventId(event) },
    { heading: 'TYPE', value: ({ type }) => type },
    { heading: 'ATTEMPTS', value: ({ attempts }) => attempts },
    { heading: 'REASON', value: ({ reason, error }) => `${reason}: ${error}` }
  ])
}

/** When an entry was written, by the clock of Redis. */
export const timeOf = (entryId: string): string => new Date(Number.parseInt(entryId, 10)).toISOString()

/** The event's id; `undefined` if the text is not an event. */
export function eventId(text: string): string | undefined {
  const event = eventJson(text)
  return typeof event === 'object' && event !== null && 'id' in event && typeof event.id === 'string'
    ? event.id
    : undefined
}

/** The event, its numbers with all their digits: for `stringifyExactly`. The text itself if it is not JSON. */
export function eventJson(text: string): unknown {
  try {
    return withExactNumbers(JSON.parse(text), text)
  } catch {
    return text
  }
}
