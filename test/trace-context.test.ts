import t from 'tap'
import { eventTrace, parseTraceparent, traceHeaders, traceparentOf } from '../src/trace-context.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const RECORDED = `00-${TRACE}-${SPAN}-01`

t.test(
  'a traceparent of version 00 is read, and of its flags only whether the trace is recorded',
  async t => {
    t.same(parseTraceparent(RECORDED), { traceId: TRACE, spanId: SPAN, traceFlags: 1 })
    t.same(parseTraceparent(`00-${TRACE}-${SPAN}-00`), { traceId: TRACE, spanId: SPAN, traceFlags: 0 })
    t.same(parseTraceparent(`00-${TRACE}-${SPAN}-ff`), { traceId: TRACE, spanId: SPAN, traceFlags: 1 })
    t.equal(traceparentOf({ traceId: TRACE, spanId: SPAN }), RECORDED)
  }
)

t.test('anything else is not a traceparent', async t => {
  const rows = [
    '',
    ` ${RECORDED}`,
    `${RECORDED}\n`,
    `${RECORDED}-00`,
    `${RECORDED}, ${RECORDED}`,
    RECORDED.toUpperCase(),
    `01-${TRACE}-${SPAN}-01`,
    `ff-${TRACE}-${SPAN}-01`,
    `00-${'0'.repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${'0'.repeat(16)}-01`,
    `00-${TRACE}-${SPAN}`,
    `00-${TRACE}1-${SPAN}-01`
  ]
  for (const row of rows) t.equal(parseTraceparent(row), undefined, JSON.stringify(row))
})

t.test('an event has a trace only if that is recorded; an invalid tracestate is left out', async t => {
  t.same(eventTrace(RECORDED, undefined), { traceparent: RECORDED })
  t.same(eventTrace(RECORDED, 'a=1,b=2'), { traceparent: RECORDED, tracestate: 'a=1,b=2' })
  for (const tracestate of ['', 'a=\u00e9', 'a=1\r\nx: y', `a=${'x'.repeat(511)}`, 7, null, {}]) {
    t.same(eventTrace(RECORDED, tracestate), { traceparent: RECORDED }, JSON.stringify(tracestate))
  }
  for (const traceparent of [`00-${TRACE}-${SPAN}-00`, '', undefined, null, 7, [RECORDED]]) {
    t.equal(eventTrace(traceparent, 'a=1'), undefined, JSON.stringify(traceparent))
  }
})

t.test('headers have the names in turn with the values, without a tracestate that is missing', async t => {
  t.same(traceHeaders({ traceparent: RECORDED }), ['traceparent', RECORDED])
  t.same(traceHeaders({ traceparent: RECORDED, tracestate: 'a=1' }), [
    ...['traceparent', RECORDED],
    ...['tracestate', 'a=1']
  ])
})
