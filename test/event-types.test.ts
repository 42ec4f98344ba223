import t from 'tap'
import { eventType, metricOf } from '../src/event-types.ts'

const rows: readonly (readonly [string, Record<string, unknown>, string])[] = [
  ['an event of the doctor', { object_type: 'doctor', metric: 'examined' }, 'io.customer.doctor'],
  ['one without a metric', { object_type: 'doctor' }, 'io.customer.doctor'],
  ['one whose metric is not a name', { object_type: 'doctor', metric: null }, 'io.customer.doctor'],
  ['one in the flat format', { event_type: 'doctor' }, 'io.customer.doctor'],
  ['a metric of that name', { object_type: 'email', metric: 'doctor' }, 'io.customer.email.doctor'],
  ['a flat type that begins like it', { event_type: 'doctor_opened' }, 'io.customer.unknown'],
  ['a type that begins like it', { object_type: 'doctors', metric: 'sent' }, 'io.customer.doctors.sent'],
  ['the name in capitals', { object_type: 'DOCTOR', metric: 'sent' }, 'io.customer.DOCTOR.sent']
]

for (const [name, payload, type] of rows) {
  t.test(`${name} is of type ${type}`, async t => {
    t.equal(eventType(payload), type)
  })
}

t.test('the metric of a type is what follows its object type, if it has one', async t => {
  t.equal(metricOf('io.customer.email.opened'), 'opened')
  t.equal(metricOf('io.customer.doctor'), undefined)
  t.equal(metricOf('io.customer.unknown'), undefined)
})
