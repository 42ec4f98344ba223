import { hash } from 'node:crypto'
import t from 'tap'
import { toOutgoingEvent } from '../../src/group/outgoing-event.ts'

const position = '0-1-0'
const EVENT = {
  specversion: '1.0',
  id: 'e1',
  source: '/customerio/shop',
  type: 'io.customer.email.sent',
  subject: '42',
  data: { price: 1 }
}
const read = (event: unknown) => toOutgoingEvent({ position, event: JSON.stringify(event) })

t.test('an event of this service is sent unchanged, with its source and position', t => {
  const event = JSON.stringify(EVENT)
  const expected = { id: 'e1', source: 'shop', type: 'io.customer.email.sent', event, position }
  t.same(read(EVENT), expected)
  const { subject: _, ...withoutSubject } = EVENT
  t.match(read(withoutSubject), { id: 'e1' })
  t.end()
})

t.test('an event as the receiver writes it is recognized by the attributes before its data', t => {
  const { data: _, ...attributes } = EVENT
  const envelope = { ...attributes, id: ',"datacontenttype":', datacontenttype: 'application/json' }
  const data = { id: 'other', text: '"' }
  const event = JSON.stringify({ ...envelope, data })
  t.match(toOutgoingEvent({ position, event }), { type: EVENT.type, source: 'shop', event })
  t.equal(toOutgoingEvent({ position, event })?.id, ',"datacontenttype":')
  t.equal(read({ ...envelope, data, specversion: '0.3' }), undefined)
  t.end()
})

t.test('an id that cannot be a header value is replaced by its digest', t => {
  for (const id of ['a b', 'a\nb', 'é', 'x'.repeat(256)])
    t.equal(read({ ...EVENT, id })?.id, hash('sha256', id))
  t.equal(read({ ...EVENT, id: 'x'.repeat(255) })?.id, 'x'.repeat(255))
  t.end()
})

t.test('anything else in the log is not an event of this service', t => {
  for (const change of [
    { specversion: '0.3' },
    { id: '' },
    { id: 1 },
    { source: '/another/shop' },
    { source: undefined },
    { type: '' },
    { type: null },
    { subject: 42 }
  ]) {
    t.equal(read({ ...EVENT, ...change }), undefined, JSON.stringify(change))
  }
  for (const event of ['', '{', 'null', '[]', '"text"', '1']) {
    t.equal(toOutgoingEvent({ position, event }), undefined, event)
  }
  t.end()
})
