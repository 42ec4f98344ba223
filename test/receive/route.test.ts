import t from 'tap'
import { postText, sendRaw } from '../helpers/raw-http.ts'
import { startRedis } from '../helpers/redis.ts'
import { deliverTo, startTestService } from '../helpers/service.ts'
import { type Headers, KEY, signBody, signV0, unixNow } from '../helpers/sign.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const service = await startTestService({ REDIS_URL: redis.url, CIO_ALLOWED_IPS: '127.0.0.1' })
t.teardown(() => service.close())

const INVALID = { error: 'Invalid webhook signature', code: 'CIO_SIGNATURE_INVALID' }
const BODY = '{"event_id":"table","object_type":"email","metric":"opened","data":{"customer_id":"1"}}'
const STREAMS = ['cio:events:{0}', 'cio:parked:{0}']

/** On a busy machine a body of 100,000 keys can be refused as overload: retries, as Customer.io does. */
const deliver = (body: string | Buffer, headers: Headers) =>
  deliverTo(`${service.url}/api/cio/webhook`, body, headers)
const lengths = () => Promise.all(STREAMS.map(stream => redis.client.xlen(stream)))
const kept = async (): Promise<number> => (await lengths()).reduce((sum, length) => sum + length, 0)
t.test(
  'every delivery that is not authentic gets the same answer, and nothing of it reaches Redis',
  async t => {
    const signed = signV0(BODY)
    const mac = signed['x-cio-signature'] ?? ''
    const at = (timestamp: string | number) => signV0(BODY, KEY, timestamp)
    const rows: readonly (readonly [string, Readonly<Record<string, string | readonly string[]>>])[] = [
      ['no signature', {}],
      ['an empty one', { ...signed, 'x-cio-signature': '' }],
      ['a short one', { ...signed, 'x-cio-signature': mac.slice(2) }],
      ['a long one', { ...signed, 'x-cio-signature': `${mac}00` }],
      ['one that is not hex', { ...signed, 'x-cio-signature': 'z'.repeat(64) }],
      ['a wrong one', { ...signed, 'x-cio-signature': 'ab'.repeat(32) }],
      ['a repeated one', { ...signed, 'x-cio-signature': [mac, mac] }],
      ['one with another key', signV0(BODY, 'another')],
      ['one with the prefix v0=', { ...signed, 'x-cio-signature': `v0=${mac}` }],
      ['no timestamp', { 'x-cio-signature': mac }],
      ['an empty timestamp', at('')],
      ['a repeated timestamp', { ...signed, 'x-cio-timestamp': [String(unixNow()), String(unixNow())] }],
      ['a negative timestamp', at(-unixNow())],
      ['a fractional timestamp', at(`${unixNow()}.5`)],
      ['a huge timestamp', at('9'.repeat(300))],
      ['a stale timestamp', at(unixNow() - 8 * 86_400)],
      ['a future timestamp', at(unixNow() + 400)],
      ['a timestamp that is a word', at('now')],
      ['a body signature with a timestamp', { ...signBody(BODY), 'x-cio-timestamp': String(unixNow()) }],
      ['a v0 signature without its timestamp', { 'x-cio-signature': mac }],
      ['a cdp signature where none is asked for', { 'x-signature': 'a'.repeat(40) }]
    ]
    for (const [name, headers] of rows) {
      const answer = await sendRaw(service.port, postText(BODY, headers))
      t.same([answer.status, JSON.parse(answer.body)], [401, INVALID], name)
    }
    const captured = signV0(BODY, KEY, unixNow() - 9 * 86_400)
    const replay = `v0:${captured['x-cio-timestamp']}:${BODY}`
    const answer = await sendRaw(
      service.port,
      postText(replay, { 'x-cio-signature': captured['x-cio-signature'] ?? '' })
    )
    t.equal(answer.status, 401, 'what v0 signed, replayed as a body')
    t.equal(await kept(), 0)
    const keys = await redis.client.keys('cio:*')
    // Written by the process itself. Its counts are by outcome: test/properties/visibility.slow.test.ts.
    const ownKeys = ['cio:keys:replicas', 'cio:partition-counts', 'cio:sources']
    const own = (key: string): boolean => ownKeys.includes(key) || key.startsWith('cio:{deliveries}:')
    const ofDeliveries = keys.filter(key => !own(key))
    t.same(ofDeliveries, [], 'not even what is remembered')
  }
)

t.test('an authentic delivery is accepted with any body', async t => {
  const deep = `{"event_id":"deep","a":${'['.repeat(10_000)}${']'.repeat(10_000)}}`
  const wide = JSON.stringify(Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i])))
  const rows: readonly (readonly [string, string | Buffer, 'accepted' | 'parked'])[] = [
    ['an empty body', '', 'parked'],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x7d]), 'parked'],
    ['not JSON', '{"event_id": ', 'parked'],
    ['a form', 'event=opened&password=hunter2', 'parked'],
    ['an array', '[1,2,3]', 'parked'],
    ['a number', '42', 'parked'],
    ['a string', '"text"', 'parked'],
    ['null', 'null', 'parked'],
    ['10,000 levels', deep, 'parked'],
    ['a __proto__ key', '{"__proto__":{"admin":true}}', 'parked'],
    ['a __proto__ key further down', '{"data":{"x":[{"__proto__":1}]}}', 'parked'],
    ['an escaped __proto__ key', '{"\\u005f_proto__":{"admin":true}}', 'parked'],
    ['a constructor with a prototype', '{"constructor":{"prototype":{"admin":true}}}', 'parked'],
    ['a constructor that is a word', '{"constructor":"word"}', 'accepted'],
    ['100,000 keys', wide, 'accepted'],
    ['duplicate keys', '{"event_id":"dup-keys-1","event_id":"dup-keys-2"}', 'accepted'],
    ['a lone surrogate', '{"event_id":"sur","text":"\\ud800"}', 'accepted'],
    ['a lone surrogate in the id', '{"event_id":"\\udc00"}', 'accepted'],
    ['huge numbers', '{"event_id":"huge","n":1e400,"m":123456789012345678901234567890}', 'accepted'],
    ['blanks around', ' \n {"event_id":"blanks"} \t ', 'accepted'],
    ['a byte order mark', '\ufeff{"event_id":"bom"}', 'accepted'],
    ['no event_id', '{"object_type":"email"}', 'accepted'],
    ['an empty event_id', '{"event_id":""}', 'accepted'],
    ['an event_id that is a number', '{"event_id":7}', 'accepted'],
    ['an event_id that is an object', '{"event_id":{"a":1}}', 'accepted'],
    ['an event_id of 10 kB', JSON.stringify({ event_id: 'x'.repeat(10_000) }), 'accepted'],
    ['an event_id with control characters', '{"event_id":"a\\u0000\\r\\nb"}', 'accepted'],
    ['an event_id with glob characters', '{"event_id":"*[a-z]?{0}"}', 'accepted'],
    ['an unknown type', '{"event_id":"u1","object_type":"fax","metric":"smudged"}', 'accepted'],
    ['a type that is not a name', '{"event_id":"u2","object_type":"a b\\n","metric":{}}', 'accepted']
  ]
  for (const [name, body, status] of rows) {
    const signed = signV0(body)
    const [events = 0, parked = 0] = await lengths()
    const answer = await deliver(body, signed)
    t.equal(answer.status, 200, name)
    // After a 503 it may have been kept: whether it was, its retry finds out.
    const statuses = answer.refused === 0 ? [status] : [status, 'duplicate']
    t.ok(statuses.includes(String(answer.body['status'])), name, { answer, statuses })
    t.same(await lengths(), status === 'parked' ? [events, parked + 1] : [events + 1, parked], name)
    t.type(answer.body['id'], 'string', name)
    const again = await deliver(body, signed)
    t.same(
      [again.status, again.body],
      [200, { status: 'duplicate', id: answer.body['id'] }],
      `${name}, again`
    )
  }
  t.equal(await kept(), rows.length, 'each is kept once')
})

t.test('the answer names the event id, and a retry is a duplicate', async t => {
  const body = '{"event_id":"01J8ZK6T9QW3E5R7Y1U2I3O4P5","object_type":"email","metric":"opened"}'
  const first = await service.post(body)
  t.same([first.status, first.body], [200, { status: 'accepted', id: '01J8ZK6T9QW3E5R7Y1U2I3O4P5' }])
  const retry = await service.post(body, signV0(body, KEY, unixNow() - 60))
  t.same([retry.status, retry.body], [200, { status: 'duplicate', id: '01J8ZK6T9QW3E5R7Y1U2I3O4P5' }])
  const byHand = await service.post(body, signBody(body))
  t.same([byHand.status, byHand.body['status']], [200, 'duplicate'])
})

t.test('two equal messages without an id, sent at different times, are two events', async t => {
  const body = '{"object_type":"sms","metric":"sent"}'
  const at = (seconds: number) => signV0(body, KEY, unixNow() - seconds)
  t.equal((await service.post(body, at(1))).body['status'], 'accepted')
  t.equal((await service.post(body, at(2))).body['status'], 'accepted')
  t.equal((await service.post(body, at(2))).body['status'], 'duplicate', 'an exact replay')
})

t.test('any content type is accepted', async t => {
  const types = [
    '',
    'text/plain',
    'application/xml',
    'application/json; charset=latin1',
    'nonsense',
    '/',
    ';;;',
    'a/b/c'
  ]
  for (const [index, type] of types.entries()) {
    const body = `{"event_id":"content-type-${index}"}`
    const answer = await sendRaw(service.port, postText(body, { ...signV0(body), 'content-type': type }))
    t.equal(answer.status, 200, `"${type}"`)
  }
  const body = '{"event_id":"no-content-type"}'
  t.equal((await sendRaw(service.port, postText(body, signV0(body)))).status, 200, 'none')
})

t.test('each way to send a body works', async t => {
  const chunkedBody = '{"event_id":"chunked"}'
  const chunks = [...chunkedBody].map(character => `1\r\n${character}\r\n`).join('')
  const headers = { ...signV0(chunkedBody), 'transfer-encoding': 'chunked' }
  t.equal((await sendRaw(service.port, postText(`${chunks}0\r\n\r\n`, headers))).status, 200, 'chunked')

  const expecting = '{"event_id":"expecting"}'
  const answer = await sendRaw(
    service.port,
    postText(expecting, { ...signV0(expecting), expect: '100-continue' })
  )
  t.equal(answer.status, 200, 'expect: 100-continue')

  const parts = '{"event_id":"in-parts"}'
  const whole = postText(parts, signV0(parts))
  const split = whole.length - 5
  t.equal(
    (await sendRaw(service.port, [whole.subarray(0, split), whole.subarray(split)])).status,
    200,
    'in parts'
  )
})

t.test('a body may have 5 MiB and not a byte more', async t => {
  const limit = 5 * 1024 * 1024
  const bodyOf = (length: number, id: string): string => {
    const head = `{"event_id":"${id}","pad":"`
    return `${head}${'x'.repeat(length - head.length - 2)}"}`
  }
  const full = bodyOf(limit, 'full')
  t.equal((await service.post(full)).status, 200, 'at the limit')

  const over = bodyOf(limit + 1, 'over')
  const tooLarge = { error: 'Request body too large', code: 'CIO_BODY_TOO_LARGE' }
  const declared = await sendRaw(
    service.port,
    postText('', { ...signV0(over), 'content-length': String(limit + 1) })
  )
  t.same(
    [declared.status, JSON.parse(declared.body)],
    [413, tooLarge],
    'one byte over, declared before it is sent'
  )

  const chunk = `${(limit + 1).toString(16)}\r\n${over}\r\n`
  const chunked = await sendRaw(
    service.port,
    postText(chunk, { ...signV0(over), 'transfer-encoding': 'chunked' })
  )
  t.same([chunked.status, JSON.parse(chunked.body)], [413, tooLarge], 'one byte over, chunked')
})

t.test('a truncated body does not become an event', async t => {
  const before = await kept()
  const body = '{"event_id":"truncated"}'
  const text = postText(body, { ...signV0(body), 'content-length': String(body.length + 10) })
  await sendRaw(service.port, text, { end: true }).catch(() => {})
  t.equal(await kept(), before)
})

t.test('a slow sender is answered in time', async t => {
  const body = '{"event_id":"slow"}'
  const text = postText(body, signV0(body))
  const started = performance.now()
  const halfBody = sendRaw(service.port, text.subarray(0, text.length - 5))
  const halfHead = sendRaw(service.port, text.subarray(0, 40))
  const answer = await halfBody
  t.ok(performance.now() - started < 3500, `after ${Math.round(performance.now() - started)} ms`)
  t.same([answer.status, JSON.parse(answer.body).code], [503, 'CIO_UNAVAILABLE'], 'half a body')
  t.match(answer.head, /^retry-after: \d+$/m)
  const timeout = await halfHead
  t.same([timeout.status, JSON.parse(timeout.body).code], [408, 'CIO_REQUEST_TIMEOUT'], 'half a head')
  t.ok(service.logLines().some(line => line['reason'] === 'deadline'))
})

t.test('other methods and paths get JSON with error and code', async t => {
  const rows: readonly (readonly [string, string, number, string])[] = [
    ['GET', '/api/cio/webhook', 405, 'CIO_METHOD_NOT_ALLOWED'],
    ['PUT', '/api/cio/webhook', 405, 'CIO_METHOD_NOT_ALLOWED'],
    ['DELETE', '/api/cio/webhook', 405, 'CIO_METHOD_NOT_ALLOWED'],
    ['PATCH', '/api/cio/webhook/default?x=1', 405, 'CIO_METHOD_NOT_ALLOWED'],
    ['OPTIONS', '/api/cio/webhook', 405, 'CIO_METHOD_NOT_ALLOWED'],
    ['POST', '/', 404, 'CIO_NOT_FOUND'],
    ['POST', '/api/cio/webhooks', 404, 'CIO_NOT_FOUND'],
    ['GET', '/api/cio/webhook/', 405, 'CIO_METHOD_NOT_ALLOWED'],
    ['GET', '/api/cio/webhook/default/', 405, 'CIO_METHOD_NOT_ALLOWED'],
    ['POST', '/api/cio/webhook//', 404, 'CIO_NOT_FOUND'],
    ['POST', '/api/cio/webhook/', 401, 'CIO_SIGNATURE_INVALID'],
    ['POST', '/api/cio/webhook/default/', 401, 'CIO_SIGNATURE_INVALID'],
    ['POST', 'http://elsewhere.example/api/cio/webhook', 401, 'CIO_SIGNATURE_INVALID'],
    ['POST', 'http://elsewhere.example', 404, 'CIO_NOT_FOUND'],
    ['CONNECT', 'elsewhere.example:443', 405, 'CIO_METHOD_NOT_ALLOWED'],
    ['POST', '/api/cio/webhook/unknown', 404, 'CIO_NOT_FOUND'],
    ['POST', `/api/cio/webhook/${'x'.repeat(500)}`, 404, 'CIO_NOT_FOUND'],
    ['POST', '/api/cio/webhook/%zz', 404, 'CIO_NOT_FOUND'],
    ['POST', '/api/cio/webhook/__proto__', 404, 'CIO_NOT_FOUND'],
    ['GET', '/nowhere', 404, 'CIO_NOT_FOUND'],
    ['POST', '/healthz', 404, 'CIO_NOT_FOUND']
  ]
  for (const [method, path, status, code] of rows) {
    const body = method === 'GET' ? '' : '{}'
    const text = `${method} ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: ;\r\ncontent-length: ${body.length}\r\n\r\n${body}`
    const answer = await sendRaw(service.port, text)
    const { error, ...rest } = JSON.parse(answer.body)
    t.type(error, 'string')
    t.same([answer.status, rest], [status, { code }], `${method} ${path.slice(0, 40)}`)
    t.match(answer.head, /^content-type: application\/json/m)
  }
})

t.test('input that is not HTTP gets JSON too, and the connection is closed', async t => {
  const rows: readonly (readonly [string, string, number])[] = [
    ['nonsense', 'nonsense\r\n\r\n', 400],
    ['headers without end', `POST / HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(100_000)}`, 431],
    ['two lengths', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab', 400],
    [
      'length and chunks',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      400
    ]
  ]
  for (const [name, text, status] of rows) {
    const answer = await sendRaw(service.port, text)
    t.equal(answer.status, status, name)
    t.match(JSON.parse(answer.body), { error: String, code: /^CIO_/ }, name)
  }
})

t.test('log lines contain no secret and no body', async t => {
  const text = service.logText()
  t.notMatch(text, KEY)
  t.notMatch(text, 'hunter2')
  t.notMatch(text, 'ada@example.com')
  t.notMatch(text, signV0(BODY)['x-cio-signature'] ?? '')
})
