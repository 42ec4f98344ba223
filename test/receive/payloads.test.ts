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

t.test('every documented payload becomes an event of its type, without personal data', async t => {
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

t.test('older and rare formats of Customer.io have types too', async t => {
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

t.test('subject and time are set if the payload has them, and only then', async t => {
  const rows: readonly (readonly [string, object, object])[] = [
    ['a customer id', { data: { customer_id: '4711' } }, { subject: '4711' }],
    ['a numeric customer id', { data: { customer_id: 4711 } }, { subject: '4711' }],
    ['identifiers alone', { data: { identifiers: { id: '4712' } } }, { subject: '4712' }],
    ['neither', { data: {} }, { subject: undefined }],
    ['an empty id', { data: { customer_id: '' } }, { subject: undefined }],
    ['a time', { timestamp: 0 }, { time: '1970-01-01T00:00:00.000Z' }],
    ['a fractional time', { timestamp: 1.5 }, { time: '1970-01-01T00:00:01.500Z' }],
    ['no time', {}, { time: undefined }],
    ['a time as text', { timestamp: '5' }, { time: '1970-01-01T00:00:05.000Z' }],
    ['milliseconds', { timestamp: 1795510800123 }, { time: '2026-11-24T09:00:00.123Z' }],
    ['RFC 3339', { timestamp: '2026-11-26T11:00:00.000+01:00' }, { time: '2026-11-26T10:00:00.000Z' }],
    ['a time that is a word', { timestamp: 'soon' }, { time: undefined }],
    ['a time before all times', { timestamp: -1 }, { time: undefined }],
    ['a time after all times', { timestamp: 1e20 }, { time: undefined }],
    ['a blank id', { data: { customer_id: ' ', identifiers: { id: '4713' } } }, { subject: '4713' }],
    ['a user id, from another source than Data Pipelines', { userId: '4714' }, { subject: undefined }],
    [
      'an id of 300 characters',
      { data: { customer_id: 'x'.repeat(300) } },
      { subject: sha256('x'.repeat(300)) }
    ]
  ]
  for (const [index, [name, payload, expected]] of rows.entries()) {
    await service.post(JSON.stringify({ event_id: `attribute-${index}`, ...payload }))
    const event = await lastEvent()
    for (const [attribute, value] of Object.entries(expected)) t.equal(event[attribute], value, name)
  }
})

t.test('the age of an event is computed from its time, in every format', async t => {
  const agoMs = Date.now() - 3_600_000
  for (const timestamp of [agoMs, String(agoMs), new Date(agoMs).toISOString(), agoMs / 1000]) {
    await service.post(JSON.stringify({ event_id: `age-${typeof timestamp}-${timestamp}`, timestamp }))
    const age = service.logLines().at(-1)?.['ageSeconds']
    t.ok(typeof age === 'number' && age >= 3600 && age < 3660, `${timestamp}: ${age} s`)
  }
})

t.test('numbers keep all digits, in the event, its subject and its partition key', async t => {
  const lastText = async (): Promise<string> => {
    const [entry] = await redis.client.xrevrange('cio:events:{0}', '+', '-', 'COUNT', 1)
    return entry?.[1][3] ?? ''
  }
  const rows: readonly (readonly [string, string, string])[] = [
    ['a 64-bit id', '{"customer_id":8202522731445525542}', '"subject":"8202522731445525542"'],
    ['another person', '{"customer_id":8202522731445525777}', '"subject":"8202522731445525777"'],
    ['identifiers', '{"identifiers":{"id":8202522731445525542}}', '"subject":"8202522731445525542"'],
    ['a power of two', '{"order":4611686018427387904}', '"order":4611686018427387904'],
    ['a price', '{"price":19.90}', '"price":19.90'],
    ['more than a double holds', '{"x":1e400}', '"x":1e400'],
    ['minus zero', '{"x":[-0,0]}', '"x":[-0,0]'],
    ['in an array of arrays', '{"x":[[9007199254740993]]}', '"x":[[9007199254740993]]'],
    ['beside text that looks like it', '{"x":1.50,"y":": 1.50"}', '"x":1.50,"y":": 1.50"'],
    ['the last of two', '{"x":1.50,"x":2.50}', '"x":2.50']
  ]
  for (const [index, [name, data, expected]] of rows.entries()) {
    const answer = await service.post(`{"event_id":"exact-${index}","data":${data}}`)
    t.equal(answer.body['status'], 'accepted', name)
    const event = await lastText()
    t.ok(event.includes(expected), `${name}: ${event}`)
    const sent = name === 'the last of two' ? '{"x":2.50}' : data
    t.ok(event.endsWith(`"data":{"event_id":"exact-${index}","data":${sent}}}`), `${name}: ${event}`)
  }
})

t.test('the choice of topics is kept, the content of a message is not', async t => {
  const content = '{"topics":{"topic_7":false,"topic_8":true}}'
  const data = { customer_id: '42', content }
  const metric = 'cio_subscription_preferences_changed'
  await service.post(JSON.stringify({ event_id: 'p1', metric, object_type_type: 'email', data }))
  const kept = (await lastEvent())['data'] as { data: { content: string } }
  t.same(JSON.parse(kept.data.content), { topics: { topic_7: false, topic_8: true } })
  await service.post(JSON.stringify({ event_id: 'p2', metric: 'sent', object_type: 'email', data }))
  t.match(await lastEvent(), { data: { data: { content: '[REDACTED]' } } })
})

t.test('an event id that is personal data is deduplicated, and shown as a digest', async t => {
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

t.test('events whose ids only differ in half a surrogate pair are different events', async t => {
  for (const half of ['\\ud800', '\\udbff']) {
    const answer = await service.post(`{"event_id":"${half}","object_type":"email","metric":"sent"}`)
    t.equal(answer.status, 200)
    t.match(answer.body, { status: 'accepted', id: /^[0-9a-f]{64}$/ }, 'named by a digest of the delivery')
  }
})
