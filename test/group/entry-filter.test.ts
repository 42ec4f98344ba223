import t from 'tap'
import { DOCTOR_TYPE } from '../../src/event-types.ts'
import { compileEntryFilter } from '../../src/group/entry-filter.ts'
import { cloudEvent } from '../../src/receive/cloud-event.ts'

const type = 'io.customer.email.opened'
const entry = (backfilled: boolean, data = '{}') => ({
  type,
  event: cloudEvent(
    {
      id: 'a',
      type,
      source: 'default',
      subject: ',"backfilled":true',
      happenedAtMs: 0,
      receivedAtMs: 0,
      backfilled
    },
    data
  )
})

t.test('backfilled events are wanted unless the consumer opts out', async t => {
  t.ok(compileEntryFilter({})(entry(true)))
  t.ok(compileEntryFilter({ backfilled: true })(entry(true)))
  t.notOk(compileEntryFilter({ backfilled: false })(entry(true)))
  t.ok(compileEntryFilter({ backfilled: false })(entry(false)))
})

t.test('a payload cannot make an event look backfilled', async t => {
  const wanted = compileEntryFilter({ backfilled: false })
  t.ok(wanted(entry(false, '{"a":1,"backfilled":true,"datacontenttype":"application/json"}')))
  t.equal(JSON.parse(entry(true).event).backfilled, true)
})

t.test('types and the events of the doctor are selected as before', async t => {
  t.notOk(compileEntryFilter({ types: ['sms.*'] })(entry(false)))
  t.ok(compileEntryFilter({ types: ['email.*'] })(entry(false)))
  t.notOk(compileEntryFilter({})({ type: DOCTOR_TYPE, event: '{}' }))
  t.ok(compileEntryFilter({ includeDoctorEvents: true })({ type: DOCTOR_TYPE, event: '{}' }))
})
