import type { ReadEntry } from '../group/fenced-read.ts'
import type { CustomerEvent } from './events.ts'

/**
 * The event of an entry; `undefined` where the entry is not one of ours.
 *
 * Only its frame is checked. Its data are taken as they come: no description of Customer.io's is so true that an
 * event should be refused by it.
 */
export function readEntry({ type, event }: Pick<ReadEntry, 'type' | 'event'>): CustomerEvent | undefined {
  if (type === '' || event === '') return undefined
  let parsed: unknown
  try {
    parsed = JSON.parse(event)
  } catch {
    return undefined
  }
  return isOurs(parsed, type) ? parsed : undefined
}

function isOurs(parsed: unknown, type: string): parsed is CustomerEvent {
  if (typeof parsed !== 'object' || parsed === null) return false
  const { specversion, id, type: named, subject } = parsed as Readonly<Record<string, unknown>>
  return (
    specversion === '1.0' &&
    typeof id === 'string' &&
    id !== '' &&
    named === type &&
    (subject === undefined || typeof subject === 'string')
  )
}
