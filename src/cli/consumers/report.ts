// Tested by test/cli/consumers/command.slow.test.ts.

import type { ConsumerStatus } from '../../dispatch/consumer-status.ts'
import { formatDuration, isoTime } from '../../duration.ts'
import { eventName } from '../../event-types.ts'
import type { DeadLetter } from '../../group/dead-letters.ts'
import { entryTimeMs } from '../../log/position.ts'
import type { ConsumerList } from '../../tools/consumers/actions.ts'
import { stateSinceMs } from '../../tools/consumers/state-since.ts'
import { eventJson } from '../../tools/events/event-json.ts'
import { table } from '../table.ts'

/** The longest line of the list, unless names are long. */
const WIDTH = 100
const MIN_REASON_LENGTH = 12

export function consumersText({ consumers, parked, removedConsumers }: ConsumerList, nowMs: number): string {
  const parkedNote = parked === 0 ? '' : `\nparked deliveries: ${parked} (cio-webhook consumers parked)\n`
  const notes = removedNote(removedConsumers) + parkedNote
  if (consumers.length === 0) return `no consumer reads the log\n${notes}`
  const columns: Parameters<typeof table<ConsumerStatus>>[1] = [
    { heading: 'CONSUMER', value: ({ name }) => name },
    { heading: 'TYPE', value: ({ type }) => type },
    { heading: 'STATE', value: status => stateText(status, nowMs) },
    { heading: 'LAG', value: ({ lag }) => lag ?? '?' },
    { heading: 'PENDING', value: ({ pending, queued }) => pending + queued },
    {
      heading: 'OLDEST',
      value: ({ oldestAgeMs }) => (oldestAgeMs === undefined ? undefined : formatDuration(oldestAgeMs))
    },
    { heading: 'DEAD', value: ({ dead }) => dead },
    { heading: 'MEMBERS', value: ({ members }) => members }
  ]
  const used = Math.max(
    ...table(consumers, columns)
      .split('\n')
      .map(line => line.length)
  )
  const room = Math.max(MIN_REASON_LENGTH, WIDTH - used - 2)
  const rows = table(consumers, [
    ...columns,
    { heading: 'LAST FAILURE', value: ({ lastFailure }) => lastFailure && shortened(lastFailure, room) }
  ])
  const abandoned = consumers.filter(({ state }) => state === 'no_members').map(({ name }) => name)
  const abandonedNote =
    abandoned.length === 0
      ? ''
      : `\nno active members: ${abandoned.join(', ')}. The log keeps all events that they have not read. Start a member, or delete the group: cio-webhook consumers remove <name>\n`
  return rows + abandonedNote + notes
}

function removedNote(removed: ConsumerList['removedConsumers']): string {
  if (removed.length === 0) return ''
  const names = removed.map(({ name, dead }) => `${name} (${dead})`).join(', ')
  return `\nremoved, but with dead letters: ${names}. List them: cio-webhook consumers dead <name>. Delete them: cio-webhook consumers drop <name> --all\n`
}

function stateText(status: ConsumerStatus, nowMs: number): string {
  const sinceMs = stateSinceMs(status)
  return sinceMs === undefined
    ? status.state
    : `${status.state} ${formatDuration(Math.max(0, nowMs - sinceMs))}`
}

const shortened = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length - 1)}…`

export function deadLettersText(letters: readonly DeadLetter[]): string {
  if (letters.length === 0) return 'no dead letters\n'
  return table(letters, [
    { heading: 'ID', value: ({ letter }) => letter },
    { heading: 'SINCE', value: ({ letter }) => timeOf(letter) },
    { heading: 'EVENT', value: ({ event }) => eventId(event) },
    { heading: 'TYPE', value: ({ type }) => eventName(type) },
    { heading: 'ATTEMPTS', value: ({ attempts }) => attempts },
    { heading: 'LAST ANSWERS', value: ({ lastAttempts }) => answersOf(lastAttempts) },
    { heading: 'REASON', value: ({ reason, error }) => `${reason}: ${error}` }
  ])
}

/** The answers of the last attempts, oldest first. */
const answersOf = (attempts: DeadLetter['lastAttempts']): string =>
  attempts.map(({ answer }) => answer).join(', ')

/** When an entry was written, by the clock of Redis. */
export const timeOf = (entryId: string): string => isoTime(entryTimeMs(entryId)) ?? '-'

/** The event's id; `undefined` if the text is not an event. */
export function eventId(text: string): string | undefined {
  const event = eventJson(text)
  return typeof event === 'object' && event !== null && 'id' in event && typeof event.id === 'string'
    ? event.id
    : undefined
}
