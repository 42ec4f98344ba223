// Tested by test/console/pages/events.slow.test.ts.
import { eventName, SOURCE_PREFIX } from '../../../event-types.ts'
import { parseEnvelope } from '../../../group/cloud-event.ts'
import { entryTimeMs, formatPosition, type LogPosition } from '../../../log/position.ts'
import type { StreamEntry } from '../../../log/read-range.ts'

/** What the list shows of an event. Everything but position and time was written by others. */
export interface EventRow {
  readonly position: LogPosition
  readonly partition: number
  readonly entryId: string
  /** When it was appended, by the clock of Redis. */
  readonly atMs: number
  /** `<object_type>.<metric>` */
  readonly type: string
  /** `undefined` for an entry that is not an event of this service. */
  readonly id: string | undefined
  readonly source: string | undefined
  readonly customer: string | undefined
}

export function toRow({ partition, id, type, event }: StreamEntry): EventRow {
  const envelope = parseEnvelope(event)
  return {
    position: formatPosition(partition, id),
    partition,
    entryId: id,
    atMs: entryTimeMs(id),
    type: eventName(type),
    id: envelope?.id,
    source: envelope?.source.slice(SOURCE_PREFIX.length),
    customer: envelope?.subject
  }
}
