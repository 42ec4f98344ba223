import { createHash } from 'node:crypto'
import t from 'tap'
import { canaries, documentedPairs, payloadOf } from '../fixtures/events.ts'
import { startRedis } from '../helpers/redis.ts'
import { startTestService } from '../helpers/service.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const service = await startTestService({ REDIS_URL: redis.url })
t.teardown(() => service.close())

const lastEvent = async (): Promise<Record<string, unknown>> => {
  const [entry] = await redis.client.xrevrange('cio:events:{0}', '+', '-', 'COUNT', 1)
  const fields = entry?.[1] ?? []
  return { field: fields[1], ...JSON.parse(fields[3] ?? '{}') }
}
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

t.test('every documented pair comes out as an event of its type, without personal data', async t => {
  for (const [objectType, metrics] of documentedPairs) {
    for (const metric of metrics) {
      const id = `${objectType}-${metric}`
      const answer = await service.post(JSON.stringify(payloadOf(objectType, metric, id)))
      t.same([answer.status, answer.body], [200, { status: 'accepted', id }], id)
      const type = `io.customer.${objectType}.${metric}`
      t.match(await lastEvent(), {
        field: type,
        specversion: '1.0',
        id,
        source: '/customerio/default',
        type,
        subject: sha256(canaries.email),
        time: '2026-11-24T09:00:00.000Z',
        receivedtime: /^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/,
        datacontenttype: 'application/json',
        data: {
          event_id: id,
          metric,
          timestamp: 1_795_510_800,
          data: {
            customer_id: sha256(canaries.email),
            identifiers: {
              id: sha256(canaries.email),
              email_hash: sha256(canaries.email),
              cio_id: 'd9c106000001'
            },
            recipient_hash: sha256(canaries.recipient.toLowerCase()),
            delivery_id: 'RPILAgUBcRhIBqSfeiIwdIYJKxTY',
            campaign_id: 23,
            journey_id: '01GW20GXAAXBKZD8J96M8FNV3R',
            href: 'https://example.com/path'
          }
        }
      })
    }
  }
})

t.test('forms that Customer.io has used before or beside have their types too', async t => {
  const rows: readonly (readonly [string, object, string])[] = [
    ['flat, e-mail', { event_type: 'email_opened', data: {} }, 'io.customer.email.opened'],
    ['flat, in-app', { event_type: 'in_app_clicked', data: {} }, 'io.customer.in_app.clicked'],
    ['flat, customer', { event_type: 'customer_unsubscribed' }, 'io.customer.customer.unsubscribed'],
    ['flat, unknown', { event_type: 'fax_smudged' }, 'io.customer.unknown'],
    ['flat, no metric', { event_type: 'email_' }, 'io.customer.unknown'],
    ['an unlisted metric', { object_type: 'email', metric: 'snoozed' }, 'io.customer.email.snoozed'],
    ['an unknown object type', { object_type: 'fax', metric: 'sent' }, 'io.customer.fax.sent'],
    ['no metric', { object_type: 'email' }, 'io.customer.unknown'],
    ['no type at all', { hello: 'world' }, 'io.customer.unknown'],
    ['a type that is an address', { object_type: canaries.email, metric: 'sent' }, 'io.customer.unknown'],
    ['a metric that is a number', { object_type: 'email', metric: 7 }, 'io.customer.unknown'],
    ['a metric with a dot', { object_type: 'email', metric: 'a.b' }, 'io.customer.unknown']
  ]
  for (const [index, [name, payload, type]] of rows.entries()) {
    const answer = await service.post(JSON.stringify({ event_id: `form-${index}`, ...payload }))
    t.equal(answer.body['status'], 'accepted', name)
    t.match(await lastEvent(), { field: type, type }, name)
  }
})

t.test('subject and time are there where the payload has them, and only then', async t => {
  const rows: readonly (readonly [string, object, object])[] = [
    ['a customer id', { data: { customer_id: '4711' } }, { subject: '4711' }],
    ['a numeric customer id', { data: { customer_id: 4711 } }, { subject: '4711' }],
    ['identifiers alone', { data: { identifiers: { id: '4712' } } }, { subject: '4712' }],
    ['neither', { data: {} }, { subject: undefined }],
    ['an empty id', { data: { customer_id: '' } }, { subject: undefined }],
    ['a time', { timestamp: 0 }, { time: '1970-01-01T00:00:00.000Z' }],
    ['a fractional time', { timestamp: 1.5 }, { time: '1970-01-01T00:00:01.500Z' }],
    ['no time', {}, { time: undefined }],
    ['a time that is a string', { timestamp: '5' }, { time: undefined }],
    ['a time before all times', { timestamp: -1 }, { time: undefined }],
    ['a time after all times', { timestamp: 1e15 }, { time: undefined }]
  ]
  for (const [index, [name, payload, expected]] of rows.entries()) {
    await service.post(JSON.stringify({ event_id: `attribute-${index}`, ...payload }))
    const event = await lastEvent()
    for (const [attribute, value] of Object.entries(expected)) t.equal(event[attribute], value, name)
  }
})

t.test('an event id that is personal is remembered, and shown as a digest', async t => {
  const body = JSON.stringify({ event_id: canaries.email, object_type: 'email', metric: 'sent' })
  const answer = await service.post(body)
  t.match(answer.body, { status: 'accepted', id: /^[0-9a-f]{64}$/ })
  t.same((await service.post(body)).body, { status: 'duplicate', id: answer.body['id'] })
})

t.test('no canary is in the log of events, the log lines, or the metrics', async t => {
  await service.post(`{"broken": ${JSON.stringify(payloadOf('email', 'sent', 'parked'))}`)
  const everything = [
    JSON.stringify(await redis.client.xrange('cio:events:{0}', '-', '+')),
    JSON.stringify(await redis.client.xrange('cio:parked:{0}', '-', '+')),
    service.logText(),
    await (await fetch(`${service.url}/metrics`)).text()
  ].join('\n')
  for (const [name, canary] of Object.entries(canaries)) t.notOk(everything.includes(canary), name)
})

t.test('two events whose ids differ only in half a surrogate pair are two', async t => {
  for (const half of ['\\ud800', '\\udbff']) {
    const answer = await service.post(`{"event_id":"${half}","object_type":"email","metric":"sent"}`)
    t.equal(answer.status, 200)
    t.match(answer.body, { status: 'accepted', id: /^[0-9a-f]{64}$/ }, 'named by a digest of the delivery')
  }
})
