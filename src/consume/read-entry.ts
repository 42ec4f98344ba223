// Tested by test/consume/consumer.test.ts.
import { type CloudEvent, parseCloudEvent } from '../group/cloud-event.ts'
import type { ReadEntry } from '../group/fenced-read.ts'
import type { CustomerEvent } from './events.ts'

/** @returns the event of an entry; `undefined` unless it is an event of this service */
export function readEntry({ type, event }: Pick<ReadEntry, 'type' | 'event'>): CustomerEvent | undefined {
  const parsed = parseCloudEvent(event)
  return hasType(parsed, type) ? parsed : undefined
}

/** The entry's type must match: consumers filter by it without parsing the event. */
const hasType = (parsed: CloudEvent | undefined, type: string): parsed is CustomerEvent =>
  parsed?.type === type
