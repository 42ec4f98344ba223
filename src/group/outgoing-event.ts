import { hash } from 'node:crypto'
import { z } from 'zod'

/** What we read of a CloudEvent of ours. */
const cloudEvent = z.object({
  specversion: z.literal('1.0'),
  id: z.string().min(1),
  source: z.string().startsWith('/customerio/'),
  type: z.string().min(1)
})

/** Printable ASCII without blanks, as long as an AMQP short string may be: it can stand in any header. */
const HEADER_SAFE = /^[\x21-\x7e]{1,255}$/

/**
 * An entry of the log as it goes out; `undefined` when it is not one that this service wrote.
 *
 * @param position `<partition>-<entry id>`
 */
export function outgoingEvent(position: string, event: string): OutgoingEvent | undefined {
  const parsed = cloudEvent.safeParse(parseJson(event))
  if (!parsed.success) return undefined
  const { id, source, type } = parsed.data
  return {
    id: HEADER_SAFE.test(id) ? id : hash('sha256', id),
    source: source.slice('/customerio/'.length),
    type,
    event,
    position
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** An event on its way out of the log. */
export interface OutgoingEvent {
  /** Event id, as it may stand in a header: see outgoing.ts. */
  readonly id: string
  /** The source it came from; ids of different sources may be the same. */
  readonly source: string
  /** CloudEvents type, `io.customer.<object_type>.<metric>`. */
  readonly type: string
  /** The CloudEvent as JSON text, as it stands in the log. */
  readonly event: string
  /** Where it stands in the log, `<partition>-<entry id>`: no two entries have the same. */
  readonly position: string
}
