import t from 'tap'
import { startBatchSpan, startPushSpan } from '../../src/dispatch/send-span.ts'
import { tracingInMemory } from '../helpers/tracing.ts'

const traceOf = (digit: number) => ({
  traceparent: `00-${String(digit).repeat(32)}-${String(digit).repeat(16)}-01`
})
const event = (digit?: number) => ({
  id: 'e1',
  type: 'io.customer.email.opened',
  trace: digit === undefined ? undefined : traceOf(digit)
})

t.test('an attempt over HTTP is a part of its event’s trace, and shows no path or query', async t => {
  const tracing = tracingInMemory()
  const crm = { name: 'crm', url: 'https://crm.internal/hooks/hunter2?token=hunter2' }
  startPushSpan(tracing, crm, event(1), 3)?.end({})
  t.match(tracing.spans, [
    {
      name: 'send crm',
      kind: 'client',
      traceId: '1'.repeat(32),
      parentId: '1'.repeat(16),
      links: [traceOf(1)],
      attributes: {
        'messaging.message.id': 'e1',
        'http.request.resend_count': 2,
        'server.address': 'crm.internal',
        'server.port': 443
      }
    }
  ])
  t.notMatch(JSON.stringify(tracing.spans), /hunter2/)
})

t.test('a batch has one span, linked to every event that is recorded', async t => {
  const tracing = tracingInMemory()
  startBatchSpan(tracing, { name: 'work', type: 'amqp' }, [event(), event(2), event(3)])?.end({})
  t.match(tracing.spans, [
    {
      name: 'send work',
      kind: 'producer',
      traceId: '2'.repeat(32),
      links: [traceOf(2), traceOf(3)],
      attributes: { 'messaging.system.name': 'rabbitmq', 'messaging.batch.message_count': 3 }
    }
  ])
})

t.test('events that are not recorded have no span', async t => {
  const tracing = tracingInMemory()
  t.equal(startPushSpan(tracing, { name: 'crm', url: 'http://crm' }, event(), 1), undefined)
  t.equal(startBatchSpan(tracing, { name: 'bus', type: 'nats' }, [event(), event()]), undefined)
})
