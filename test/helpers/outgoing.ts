import { type OutgoingEvent, toOutgoingEvent } from '../../src/group/outgoing-event.ts'
import { formatPosition } from '../../src/log/position.ts'

/** A CloudEvent as the receiver writes it. */
export function cloudEventText(
  id: string,
  type = 'io.customer.email.opened',
  source = 'default',
  trace: object = {}
): string {
  return JSON.stringify({
    specversion: '1.0',
    id,
    source: `/customerio/${source}`,
    type,
    time: '2026-11-24T10:00:00.000Z',
    receivedtime: '2026-11-24T10:00:00.500Z',
    ...trace,
    datacontenttype: 'application/json',
    data: { event_id: id, object_type: 'email', metric: 'opened', timestamp: 1795514400, data: {} }
  })
}

let sequence = 0

/** An event with a unique log position. @param trace the attributes of a trace, valid or not */
export function outgoing(id: string, type?: string, source?: string, trace?: object): OutgoingEvent {
  const event = toOutgoingEvent({
    position: formatPosition(0, `${Date.now()}-${++sequence}`),
    event: cloudEventText(id, type, source, trace)
  })
  if (event === undefined) throw new Error('not a valid event')
  return event
}

export const outgoingMany = (prefix: string, count: number): OutgoingEvent[] =>
  Array.from({ length: count }, (_, index) => outgoing(`${prefix}-${index}`))
