import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { digestsOfId, type EventId, eventId, namedDigest, parkedId } from '../../src/receive/event-id.ts'
import { startRedis } from '../helpers/redis.ts'
import { startTestService } from '../helpers/service.ts'
import { type Headers, signCdp, signV0, unixNow } from '../helpers/sign.ts'
import { testSource } from '../helpers/source.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const folder = t.testdir({
  'sources.json': JSON.stringify({
    sources: [
      { name: 'pointer', secret: 'k-pointer', idPointer: '/message/id' },
      { name: 'header', secret: 'k-header', idHeader: 'X-CIO-Idempotency-Key' },
      { name: 'both', secret: 'k-both', idPointer: '/message/id', idHeader: 'x-cio-idempotency-key' },
      { name: 'plain', secret: 'k-plain' },
      { name: 'pipelines', secret: 'k-pipelines', schemes: ['cdp'], idPointer: '/messageId' }
    ]
  })
})
const service = await startTestService({ REDIS_URL: redis.url, CIO_SOURCES_FILE: `${folder}/sources.json` })
t.teardown(() => service.close())

const post = async (source: string, body: string | object, headers: Headers = {}, secondsAgo = 0) => {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  const signed = signV0(text, `k-${source}`, unixNow() - secondsAgo)
  return (await service.post(text, { ...signed, ...headers }, `/api/cio/webhook/${source}`)).body
}
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

t.test('the pointer comes first, and is ignored if it leads to nothing', async t => {
  const rows: readonly (readonly [string, unknown, string])[] = [
    ['text', 'm1', 'accepted'],
    ['other text under the same event_id', 'm2', 'accepted'],
    ['the same again', 'm1', 'duplicate'],
    ['a number', 42, 'accepted'],
    ['the same number as text', '42', 'duplicate'],
    ['zero', 0, 'accepted']
  ]
  for (const [name, id, status] of rows) {
    const answer = await post('pointer', { event_id: 'webinar', message: { id }, name })
    t.same(answer, { status, id: String(id) }, name)
  }
  const fallback = await post('pointer', { event_id: 'webinar', message: {} })
  t.match(fallback, { status: 'accepted', id: /^[0-9a-f]{64}$/ }, 'nothing there: the event_id')
  const none = [
    null,
    true,
    {},
    ['m1'],
    '',
    ' \t',
    'null',
    'undefined',
    '\u200b\u2060',
    ' NULL ',
    'x'.repeat(257),
    '\ud800',
    10 ** 300
  ]
  for (const id of [...none, undefined]) {
    const answer = await post('pointer', { event_id: 'webinar', message: { id } })
    const expected = { status: 'duplicate', id: fallback['id'] }
    t.same(answer, id === 10 ** 300 ? { status: 'accepted', id: '1e+300' } : expected, JSON.stringify(id))
  }
})

t.test('a number at the pointer has all its digits', async t => {
  const body = (digits: string): string => `{"message":{"id":${digits}}}`
  const id = '8202522731445525542'
  t.same(await post('pointer', body(id)), { status: 'accepted', id })
  t.same(await post('pointer', body(id), {}, 60), { status: 'duplicate', id })
  t.equal((await post('pointer', body('8202522731445525777')))['status'], 'accepted')
  t.equal((await post('pointer', body(`1${'0'.repeat(256)}`)))['status'], 'accepted', 'too long to be an id')
  t.equal((await post('pointer', body(`1${'0'.repeat(256)}`), {}, 60))['status'], 'accepted')
})

t.test('the header counts together with the body, since it is not signed', async t => {
  const key = { 'x-cio-idempotency-key': '01K0CAMPAIGN' }
  const first = await post('header', { n: 1 }, key, 120)
  t.match(first, { status: 'accepted', id: /^[0-9a-f]{64}$/ })
  t.same(await post('header', { n: 1 }, key), { status: 'duplicate', id: first['id'] }, 'a new timestamp')
  t.equal((await post('header', { n: 2 }, key))['status'], 'accepted', 'another body')
  const other = { 'x-cio-idempotency-key': '01K0ANOTHER' }
  t.equal((await post('header', { n: 1 }, other))['status'], 'accepted', 'another key')
  t.equal((await post('header', { event_id: 'webinar', n: 3 }, key))['status'], 'accepted', 'before event_id')
  t.equal((await post('header', { event_id: 'webinar', n: 4 }, key))['status'], 'accepted')
  t.same(await post('header', { event_id: 'plain' }), { status: 'accepted', id: 'plain' }, 'none: event_id')
  for (const value of ['null', 'undefined', 'x'.repeat(300)]) {
    const headers = { 'x-cio-idempotency-key': value }
    t.equal((await post('header', { event_id: 'plain' }, headers))['status'], 'duplicate', value.slice(0, 10))
  }
  t.same(
    await post('both', { message: { id: 'm-7' } }, key),
    { status: 'accepted', id: 'm-7' },
    'behind the pointer'
  )
  t.same(
    await post('plain', { event_id: 'p' }, key),
    { status: 'accepted', id: 'p' },
    'not where it is not asked for'
  )
})

t.test('a delivery that cannot be parsed is parked once, also with an id header', async t => {
  const key = { 'x-cio-idempotency-key': '01K0BROKEN' }
  const first = await post('header', '{broken', key, 60)
  t.equal(first['status'], 'parked')
  t.same(await post('header', '{broken', key), { status: 'duplicate', id: first['id'] })
  t.equal((await post('header', '{broken'))['status'], 'parked', 'without the header, by its timestamp')
})

t.test('an event_id is a string that is not blank', async t => {
  for (const event_id of [
    ' ',
    '',
    '\t\n',
    'null',
    'undefined',
    '\u200b\u2060',
    'NULL',
    ' undefined ',
    null,
    7,
    true,
    {},
    ['a']
  ]) {
    const statuses = [1, 2].map(n => post('plain', { event_id, n }))
    t.same(
      (await Promise.all(statuses)).map(({ status }) => status),
      ['accepted', 'accepted'],
      JSON.stringify(event_id)
    )
  }
  for (const event_id of ['nullable', 'none', '0', 'x'.repeat(256), ' padded ']) {
    t.same(await post('plain', { event_id, n: 1 }), { status: 'accepted', id: event_id })
    t.same(await post('plain', { event_id, n: 2 }), { status: 'duplicate', id: event_id })
  }
})

t.test('ids of different kinds are different, even with the same text', async t => {
  const pointed = await post('pointer', { message: { id: 'same' } })
  const named = await post('pointer', { event_id: 'same' })
  t.same([pointed['status'], named['status']], ['accepted', 'accepted'])
  t.not(pointed['id'], named['id'], 'also for those who only see the events')
  const byDelivery = await post('plain', { n: 'no id' })
  t.equal((await post('plain', { event_id: byDelivery['id'] }))['status'], 'accepted', 'an id that we made')
  const parked = await post('plain', '{')
  t.equal((await post('plain', { event_id: parked['id'] }))['status'], 'accepted', 'one of a parked delivery')
})

t.test('an id that is personal data is shown as a hash that cannot be guessed', async t => {
  const answer = await post('plain', { event_id: 'ada@example.com' })
  t.match(answer, { status: 'accepted', id: /^[0-9a-f]{64}$/ })
  t.notOk([sha256('ada@example.com'), sha256('plain\0ada@example.com')].includes(String(answer['id'])))
  t.same(await post('plain', { event_id: 'ada@example.com', n: 2 }), { ...answer, status: 'duplicate' })
  t.not(
    (await post('plain', { event_id: 'ADA@example.com' }))['id'],
    answer['id'],
    'another id, another hash'
  )
})

t.test('Data Pipelines: subject, time and id', async t => {
  const body = JSON.stringify({
    type: 'identify',
    messageId: 'm1',
    userId: 'ada@example.com',
    timestamp: '2026-11-26T10:00:00.000Z',
    traits: { plan: 'pro' }
  })
  const send = (text: string) =>
    service.post(text, signCdp(text, 'k-pipelines'), '/api/cio/webhook/pipelines')
  t.same((await send(body)).body, { status: 'accepted', id: 'm1' })
  t.same((await send(body)).body, { status: 'duplicate', id: 'm1' })
  const [entry] = await redis.client.xrevrange('cio:events:{0}', '+', '-', 'COUNT', 1)
  t.match(JSON.parse(entry?.[1][3] ?? '{}'), {
    source: '/customerio/pipelines',
    type: 'io.customer.unknown',
    subject: sha256('ada@example.com'),
    time: '2026-11-26T10:00:00.000Z',
    data: { userId: sha256('ada@example.com'), traits: { plan: 'pro' } }
  })
  const numeric = '{"messageId":"m2","userId":8202522731445525542,"timestamp":1795510800123}'
  await send(numeric)
  const [next] = await redis.client.xrevrange('cio:events:{0}', '+', '-', 'COUNT', 1)
  t.match(JSON.parse(next?.[1][3] ?? '{}'), {
    subject: '8202522731445525542',
    time: '2026-11-24T09:00:00.123Z'
  })
  t.match(next?.[1][3], '"userId":8202522731445525542')
})

t.test('a digest stays what it is, or an upgrade would append events a second time', async t => {
  const configured = testSource({ name: 'crm', idPointer: '/message/id', idHeader: 'x-key' })
  const read = (payload: Record<string, unknown>, idHeader?: string) => {
    const context = { source: configured, timestamp: '1795510800', idHeader, parkedAs: undefined }
    return { payload, context, body: Buffer.from(JSON.stringify(payload)) }
  }
  const idOf = ({ payload, context, body }: ReturnType<typeof read>) =>
    eventId(payload, body, context, configured.sanitizer)
  const withoutId = read({ n: 1 })
  const withHeader = read({ n: 1 }, 'k1')
  const parked = { digest: parkedId(withoutId.body, withoutId.context).digest }
  const digestOf = (text: string): string => createHash('sha256').update(text).digest('base64')
  const hashOfBody = sha256('crm\x001795510800\0{"n":1}')
  const hashOfHeader = sha256('crm\0header\0k1\0{"n":1}')
  const named = digestOf('crm\0e1')

  t.same(idOf(read({ message: { id: 'm1' } })), {
    kind: 'pointer',
    id: 'm1',
    digest: digestOf('\0pointer\0crm\0m1')
  })
  t.same(idOf(read({ event_id: 'e1' })), {
    kind: 'event_id',
    id: Buffer.from(named, 'base64').toString('hex'),
    digest: named
  })
  t.same(idOf(withHeader), {
    kind: 'header',
    id: hashOfHeader,
    digest: digestOf(`\0header\0crm\0${hashOfHeader}`)
  })
  t.same(idOf(withoutId), {
    kind: 'delivery',
    id: hashOfBody,
    digest: digestOf(`\0delivery\0crm\0${hashOfBody}`)
  })
  t.same(parked, { digest: digestOf(`\0parked\0crm\0${hashOfBody}`) })
  t.equal(namedDigest('crm', 'e1'), named)

  t.same(digestsOfId('m1', 'crm'), {
    digests: [digestOf('crm\0m1'), idOf(read({ message: { id: 'm1' } })).digest],
    isComplete: true
  })
  for (const { id, digest } of [withoutId, withHeader, read({ event_id: 'e1' })].map(idOf)) {
    const { digests, isComplete } = digestsOfId(id, 'crm')
    t.ok(digests.includes(digest))
    t.equal(isComplete, false, 'it may be the hash of an id that is personal data')
  }
  t.ok(digestsOfId(hashOfBody, 'crm').digests.includes(parked.digest))
})

t.test('different ids, kinds or sources have different digests and public ids', async t => {
  const id = fc.oneof(
    fc.string({ minLength: 1, maxLength: 5 }),
    fc.constantFrom('a', 'a\0b', '\0pointer\0a\0b', 'pointer', '42', '042', '4.2e1', '42.0', ' a', 'A')
  )
  const given = fc.record({
    source: fc.constantFrom('a', 'b', 'pointer'),
    pointed: fc.option(id, { nil: undefined }),
    header: fc.option(id, { nil: undefined }),
    named: fc.option(id, { nil: undefined }),
    timestamp: fc.constantFrom('1', '2'),
    unreadable: fc.boolean()
  })
  type Given = typeof given extends fc.Arbitrary<infer T> ? T : never
  const read = ({ source, pointed, header, named, timestamp, unreadable }: Given): EventId => {
    const payload = { event_id: named, message: { id: pointed } }
    const body = Buffer.from(JSON.stringify(payload))
    const configured = testSource({ name: source, idPointer: '/message/id', idHeader: 'x-key' })
    const context = { source: configured, timestamp, idHeader: header, parkedAs: undefined }
    return unreadable ? parkedId(body, context) : eventId(payload, body, context, configured.sanitizer)
  }
  const says = (text: string | undefined): boolean =>
    text !== undefined && text.isWellFormed() === true && !/^(null|undefined)?$/i.test(text.trim())
  /** The rule for ids, implemented a second time. */
  const expected = ({ source, pointed, header, named, timestamp, unreadable }: Given): string => {
    const body = JSON.stringify([named, pointed])
    const kind = unreadable ? 'parked' : 'event'
    if (!unreadable && says(pointed)) return JSON.stringify([source, 'pointer', pointed])
    if (says(header)) return JSON.stringify([source, kind, 'header', header, body])
    if (!unreadable && says(named)) return JSON.stringify([source, 'named', named])
    return JSON.stringify([source, kind, timestamp, body])
  }
  fc.assert(
    fc.property(given, given, (one, two) => {
      const [first, second] = [read(one), read(two)]
      const same = expected(one) === expected(two)
      if ((first.digest === second.digest) !== same) throw new Error(`digests: ${JSON.stringify([one, two])}`)
      if (
        one.source === two.source &&
        one.unreadable === two.unreadable &&
        (first.id === second.id) !== same
      ) {
        throw new Error(`ids: ${JSON.stringify([one, two, first, second])}`)
      }
    }),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 100) * 10 }
  )
  t.pass()
})
