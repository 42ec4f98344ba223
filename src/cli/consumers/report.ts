import type { DeadLetter } from '../../group/dead-letters.ts'
import { duration, table } from '../table.ts'
import type { ConsumerList } from './actions.ts'

export function consumersText({ consumers, parked }: ConsumerList): string {
  const note = parked === 0 ? '' : `\nparked deliveries: ${parked} (cio-webhook consumers parked)\n`
  if (consumers.length === 0) return `no consumer reads the log\n${note}`
  const rows = table(consumers, [
    { heading: 'CONSUMER', value: ({ name }) => name },
    { heading: 'TYPE', value: ({ type }) => type },
    { heading: 'STATE', value: ({ state }) => state },
    { heading: 'LAG', value: ({ lag }) => lag ?? '?' },
    { heading: 'PENDING', value: ({ pending, queued }) => pending + queued },
    { heading: 'OLDEST', value: ({ oldestAgeMs }) => duration(oldestAgeMs) },
    { heading: 'DEAD', value: ({ dead }) => dead },
    { heading: 'FAILURES', value: ({ failures }) => failures },
    { heading: 'LAST FAILURE', value: ({ lastFailure }) => lastFailure },
    { heading: 'MEMBERS', value: ({ members }) => members }
  ])
  const unserved = consumers.filter(({ state }) => state === 'unserved').map(({ name }) => name)
  const hint =
    unserved.length === 0
      ? ''
      : `\nnobody works for ${unserved.join(', ')}: the log keeps every event for them. If that is over: cio-webhook consumers remove <name>\n`
  return rows + hint + note
}

export function lettersText(letters: readonly DeadLetter[]): string {
  if (letters.length === 0) return 'no dead letters\n'
  return table(letters, [
    { heading: 'LETTER', value: ({ letter }) => letter },
    { heading: 'SINCE', value: ({ letter }) => timeOf(letter) },
    { heading: 'EVENT', value: ({ event }) => idOf(event) },
    { heading: 'TYPE', value: ({ type }) => type },
    { heading: 'ATTEMPTS', value: ({ attempts }) => attempts },
    { heading: 'REASON', value: ({ reason, error }) => `${reason}: ${error}` }
  ])
}

/** When an entry was written, by the clock of Redis. */
export const timeOf = (id: string): string => new Date(Number.parseInt(id, 10)).toISOString()

/** The event's id; nothing where it is no event. */
export function idOf(event: string): string | undefined {
  const id = member(parse(event), 'id')
  return typeof id === 'string' ? id : undefined
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const member = (value: unknown, key: string): unknown =>
  typeof value === 'object' && value !== null && key in value
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined
