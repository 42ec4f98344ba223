import { hash } from 'node:crypto'
import type { OutgoingEvent } from '../group/outgoing-event.ts'
import { DEFAULT_SOURCE } from '../settings/sources.ts'

/** An AMQP short string has at most 255 bytes. */
const MAX_LENGTH = 255

/**
 * The id by which receivers and brokers notice an event that comes again: `<event id>`, or `<source>/<event id>` if the
 * source is not the default one, because ids of different sources can be equal. One that is too long is replaced by its
 * SHA-256.
 */
export function messageIdOf({ id, source }: Pick<OutgoingEvent, 'id' | 'source'>): string {
  const text = source === DEFAULT_SOURCE ? id : `${source}/${id}`
  return text.length <= MAX_LENGTH ? text : hash('sha256', text)
}
