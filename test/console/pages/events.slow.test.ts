import { hash } from 'node:crypto'
import t from 'tap'
import { jsonView } from '../../../src/console/pages/events/json-view.ts'
import { compileSearch, readSearch } from '../../../src/console/pages/events/query.ts'
import { consumerStates } from '../../../src/dispatch/consumer-state.ts'
import { compileAddressHash } from '../../../src/tools/events/address-hash.ts'
import { type ConsoleClient, PASSWORD, startTestConsole, VIEWER_PASSWORD } from '../../helpers/console.ts'
import { consumersFile, httpConsumer } from '../../helpers/consumers-file.ts'
import { appendEvent } from '../../helpers/log.ts'
import { answers, startReceiver } from '../../helpers/receiver.ts'
import { flushedRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'

const redis = await flushedRedis(t)
const ADDRESS = 'ada@example.com'
const HASH_KEY = 'a key for the hashes of addresses'

/** Positions in the order of the rows. */
const positionsOf = (page: string): readonly string[] =>
  [...page.matchAll(/<a href="\/events\/(\d+-\d+-\d+)"/g)].map(([, position = '']) => position)

const linkOf = (page: string, label: string): string =>
  (new RegExp(`href="([^"]+)">${label}<`).exec(page)?.[1] ?? '').replaceAll('&amp;', '&')

// One console for most tests: the key of the sessions takes 0.3 s of CPU per password.
const { service, client } = await startTestConsole(redis.url, {
  CONSOLE_PASSWORD: PASSWORD,
  CONSOLE_VIEWER_PASSWORD: VIEWER_PASSWORD,
  PII_HASH_KEY: HASH_KEY,
  LOG_LEVEL: 'trace'
})
t.teardown(service.close)

async function openPerson(password = PASSWORD): Promise<ConsoleClient> {
  const person = client()
  await person.logIn(password)
  return person
}

t.test(
  '120 events are shown on three pages, each once, newest first, and only the first is live',
  async t => {
    const person = await openPerson(VIEWER_PASSWORD)
    const empty = await person.get('/events')
    t.match(empty.text, 'No event has been received yet')
    for (let index = 0; index < 120; index++) await appendEvent(redis.client, { id: `e${index}` })
    const seen: string[] = []
    let path = '/events'
    for (const rows of [50, 50, 20]) {
      const { status, text } = await person.get(path)
      const positions = positionsOf(text)
      t.same([status, positions.length], [200, rows])
      t.equal(text.includes('hx-sse:connect'), path === '/events')
      t.equal(linkOf(text, 'Newest') === '', path === '/events')
      seen.push(...positions)
      path = linkOf(text, 'Older')
    }
    t.equal(path, '', 'the last page has no older one')
    const ids = await redis.client.xrevrange('cio:events:{0}', '+', '-')
    t.same(
      seen,
      ids.map(([id]) => `0-${id}`)
    )
    const off = (await person.get('/events?live=off')).text
    t.notMatch(off, 'hx-sse:connect')
    t.equal(linkOf(off, 'Turn on'), '/events')
  }
)

t.test(
  'a search gets an address of its own, says what was searched, and one by time is not live',
  async t => {
    const person = await openPerson()
    await appendEvent(redis.client, { id: 'one', subject: '42', type: 'io.customer.email.sent' })
    await appendEvent(redis.client, { id: 'two', subject: '42' })
    await appendEvent(redis.client, { id: 'three', subject: '43' })
    await person.get('/events')
    const answer = await person.post('/events', { customer: ' 42 ', type: 'email.s*', id: '', email: '' })
    t.same([answer.status, answer.headers['location']], [303, '/events?customer=42&type=email.s*'])
    const found = await person.get(answer.headers['location'] ?? '')
    t.match(found.text, /<bdi>one<\/bdi>/)
    t.same([positionsOf(found.text).length, found.text.includes('hx-sse:connect')], [1, true])
    const none = await person.get('/events?customer=44')
    t.match(none.text, /No events match: customer id <bdi>44<\/bdi>\. Searched 3 events, received <time/)
    const recent = await person.post('/events', { last: '1h', to: '2026-01-01T00:00' })
    const location = recent.headers['location'] ?? ''
    t.match(location, /^\/events\?from=\d{4}-\d\d-\d\dT\d\d%3A\d\d$/)
    const { text } = await person.get(location)
    t.same(
      [positionsOf(text).length, text.includes('hx-sse:connect'), text.includes('Live:')],
      [3, false, false]
    )
    t.match((await person.get('/events?to=2026-01-01T00:00')).text, 'the log has none in this range')
    t.equal((await person.post('/events', { id: '0-1-1' })).headers['location'], '/events/0-1-1')
    for (const [query, message] of [
      ['type=a.b.c', /Type: .*matches no event/],
      ['from=yesterday', /give a date and a time in UTC/]
    ] as const) {
      const refused = await person.get(`/events?${query}`)
      t.equal(refused.status, 400)
      t.match(refused.text, message)
    }
  }
)

t.test(
  'an address is searched by its keyed hash; it is in no address of a page, no log line and no audit record',
  async t => {
    const person = await openPerson()
    const hashOf = compileAddressHash(HASH_KEY).ofAddress(ADDRESS) ?? ''
    t.not(hashOf, hash('sha256', ADDRESS))
    for (let index = 0; index < 60; index++) {
      await appendEvent(redis.client, { id: `h${index}`, data: { email_hash: hashOf } })
    }
    await appendEvent(redis.client, { id: 'other', data: {} })
    await person.get('/events')
    const first = await person.post('/events', { email: ` ${ADDRESS.toUpperCase()} ` })
    t.same([first.status, positionsOf(first.text).length], [200, 50])
    t.notMatch(first.text, /(href|action)="[^"]*ada/i)
    t.notMatch(first.text, 'hx-sse:connect')
    const before = /name="before" value="([^"]+)"/.exec(first.text)?.[1] ?? ''
    const second = await person.post('/events', { email: ADDRESS, before })
    t.same([second.status, positionsOf(second.text).length], [200, 10])
    for (const fields of [{ customer: ADDRESS }, { id: `user:${ADDRESS}` }]) {
      const { status, text } = await person.post('/events', fields)
      t.equal(status, 200, 'not a redirect to an address with it')
      t.notMatch(text, /(href|action)="[^"]*ada/i)
    }
    for (const [field, value] of [
      ['customer', 'ada@example'],
      ['id', 'ada@exam ple.com'],
      ['type', ADDRESS],
      ['from', ADDRESS]
    ] as const) {
      const { headers, text } = await person.post('/events', { [field]: value })
      t.equal(headers['location'], undefined, `${field}: also with a typing error, or in the wrong field`)
      t.notMatch(text, /(href|action)="[^"]*ada/i)
    }
    const wrong = await person.post('/events', { email: 'nobody' })
    t.equal(wrong.status, 400)
    t.match(wrong.text, 'this is not an e-mail address')
    t.equal(
      (await person.get(`/events?email=${encodeURIComponent(ADDRESS)}`)).text.includes(
        '<a class="button" href="/events?'
      ),
      false
    )
    t.notMatch(service.logText(), /ada@example|ADA@EXAMPLE/)
    t.notMatch(JSON.stringify(await redis.client.xrange('cio:console:audit', '-', '+')), /ada@example/i)
  }
)

t.test('values of events are text, wherever they stand', async t => {
  const person = await openPerson()
  const evil = `"'><script>alert(1)</script><img src=x onerror=alert(1)>\`\u202e`
  const source = `/customerio/${evil}`
  const event = { specversion: '1.0', id: evil, source, type: evil, subject: evil, data: { [evil]: evil } }
  const id = await redis.client.xadd('cio:events:{0}', '*', 'type', evil, 'event', JSON.stringify(event))
  await redis.client.xadd('cio:events:{0}', '*', 'type', evil, 'event', `not JSON ${evil}`)
  await redis.client.xgroup('CREATE', 'cio:events:{0}', evil, '0')
  for (const path of ['/events', `/events/0-${id}`, `/events/${encodeURIComponent(evil)}`]) {
    const { status, text } = await person.get(path)
    t.equal(status, 200, path)
    t.notMatch(text, /<script>|<img src=x/, path)
    t.match(text, '&lt;script&gt;', path)
  }
  const reflected = await person.get(
    `/events?customer=${encodeURIComponent(evil)}&sent=${encodeURIComponent(evil)}`
  )
  t.notMatch(reflected.text, /<script>|<img src=x/)
  const unknown = await person.get(`/events/0-${id}/send-again?consumer=${encodeURIComponent(`no${evil}`)}`)
  t.equal(unknown.status, 409)
  t.notMatch(unknown.text, /<script>|<img src=x/)
})

t.test(
  'the path of an event shows each attempt, and the event is sent again, by an operator only',
  async t => {
    const [good, bad] = [await startReceiver(answers(200)), await startReceiver(answers(500))]
    t.teardown(() => Promise.all([good.stop(), bad.stop()]))
    const CONSUMERS_FILE = consumersFile(
      httpConsumer('good', good.url),
      httpConsumer('picky', good.url, { types: ['push.*'] }),
      httpConsumer('retrying', bad.url, { retryDelayMs: 3_600_000 }),
      httpConsumer('failing', bad.url, { maxAttempts: 1 })
    )
    const { service, client } = await startTestConsole(redis.url, {
      CONSUMERS_FILE,
      CONSOLE_PASSWORD: PASSWORD,
      CONSOLE_VIEWER_PASSWORD: VIEWER_PASSWORD
    })
    t.teardown(service.close)
    const [operator, viewer] = [client(), client()]
    await operator.logIn(PASSWORD)
    await viewer.logIn(VIEWER_PASSWORD)
    const timestamp = Math.floor(Date.now() / 1000) - 90
    await service.post(
      `{"event_id":"e1","object_type":"email","metric":"opened","timestamp":${timestamp},"data":{"customer_id":"42","big":8202522731445525542.10}}`
    )
    const page = await until('all attempts', async () => {
      const { text } = await operator.get('/events/e1')
      const attempts = text.match(/<td><bdi>(200|500)<\/bdi><\/td>/g) ?? []
      return attempts.length === 3 && /Next attempt: <time/.test(text) && />dead</.test(text) && text
    })
    for (const expected of [
      '8202522731445525542.10',
      '<title>Event e1 – cio-webhook</title>',
      'href="/consumers/failing"',
      'Their types leave this event out: <a href="/consumers/picky">',
      'href="/events?customer=42"'
    ]) {
      t.ok(page.includes(expected), expected)
    }
    t.match(page, /, 9\d s after it happened/)
    t.match(page, /Reason: <bdi>failed<\/bdi> after 1 attempt: <bdi>.*500/)
    t.equal((page.match(/<td><bdi>500<\/bdi><\/td>/g) ?? []).length, 2, 'the attempts that failed')
    t.same(
      [...page.matchAll(/<option value="(\w+)"/g)].map(([, name]) => name),
      ['good', 'failing']
    )
    const position = /action="\/events\/([^/"]+)\/send-again"/.exec(page)?.[1] ?? ''

    const path = `/events/${position}/send-again`
    t.notMatch((await viewer.get(`/events/${position}`)).text, 'Send again')
    t.equal((await viewer.get(`${path}?consumer=good`)).status, 403)
    t.equal((await viewer.post(path, { consumer: 'good' })).status, 403)
    t.equal((await operator.post(path, { consumer: 'good', csrf: 'x'.repeat(32) })).status, 403)
    for (const consumer of ['picky', 'retrying', 'nobody']) {
      t.equal((await operator.post(path, { consumer })).status, 409, consumer)
    }
    t.equal(good.requests.length, 1, 'none of them had an effect')

    const question = await operator.get(`${path}?consumer=good`)
    t.match(question.text, 'Send the event to good again?')
    const sent = await operator.post(path, { consumer: 'good' })
    t.same([sent.status, sent.headers['location']], [303, `/events/${position}?sent=good`])
    t.match((await operator.get(sent.headers['location'] ?? '')).text, '<bdi>good</bdi> gets the event again')
    await until('the event again', async () => good.requests.length === 2)
    t.same(
      good.requests.map(({ headers }) => headers['webhook-id']),
      ['e1', 'e1']
    )
    t.equal(good.requests[1]?.body, good.requests[0]?.body)

    await redis.client.xgroup('CREATE', 'cio:events:{0}', 'plain', '0')
    await redis.client.xreadgroup('GROUP', 'plain', 'reader', 'STREAMS', 'cio:events:{0}', '>')
    await redis.client.xack('cio:events:{0}', 'plain', position.slice(2))
    t.match((await operator.get(`${path}?consumer=plain`)).text, 'get it with XAUTOCLAIM')
    t.equal((await operator.post(path, { consumer: 'plain' })).status, 303)
    t.equal((await redis.client.xpending('cio:events:{0}', 'plain'))[0], 1)
    await consumerStates(redis.client, 'cio:', Date.now).pause('good')
    t.match(
      (await operator.get(`${path}?consumer=good`)).text,
      'It is paused: it gets the event after it is resumed'
    )

    bad.behave(answers(200))
    t.equal((await operator.post(path, { consumer: 'failing' })).status, 303)
    await until('the dead letter is gone', async () => (await redis.client.xlen('cio:dead:failing')) === 0)
    await until('the third attempt', async () => bad.requests.length === 3)
    const audit = await redis.client.xrange('cio:console:audit', '-', '+')
    t.same(
      audit
        .map(([, fields]) => fields)
        .filter(fields => fields.includes('event_sent_again'))
        .map(fields => fields.filter((_, index) => index % 2 === 1)),
      [
        ['operator', 'operator', 'event_sent_again', `${position} to good`, '127.0.0.1'],
        ['operator', 'operator', 'event_sent_again', `${position} to plain`, '127.0.0.1'],
        ['operator', 'operator', 'event_sent_again', `${position} to failing`, '127.0.0.1']
      ]
    )
  }
)

t.test('an unknown event is not found, and the page says why', async t => {
  const person = await openPerson()
  for (const [name, where] of [
    ['unknown', 'with this id'],
    ['0-1-1', 'at this position'],
    ['a%2Fb', 'with this id']
  ] as const) {
    const { status, text } = await person.get(`/events/${name}`)
    t.equal(status, 404)
    t.match(text, where)
  }
})

t.test(
  'JSON is coloured by classes, keeps all digits, and a text that is not JSON is shown as it is',
  async t => {
    const text = (value: string): string => jsonView('x', value).text
    t.match(
      text('{"a\\"b":"c:\\"d\\"","n":-1.50e400,"t":true,"x":null}'),
      '<span class="json-name">&quot;a\\&quot;b&quot;</span>: <span class="json-string">&quot;c:\\&quot;d\\&quot;&quot;</span>'
    )
    t.match(text('{"n":-1.50e400}'), '<span class="json-number">-1.50e400</span>')
    t.match(text('[true]'), '<span class="json-word">true</span>')
    t.match(text('{"<b>'), '{&quot;&lt;b&gt;')
    t.notMatch(text(JSON.stringify('x'.repeat(200_000))), 'json-string')
    t.match(text(JSON.stringify('x'.repeat(2_000_000))), 'first 1,048,576 of 2,000,002 characters')
  }
)

t.test('a long event is not parsed to show it: that would delay deliveries', async t => {
  const event = JSON.stringify({ data: Array.from({ length: 40_000 }, (_, index) => ({ index })) })
  t.match(jsonView('x', event).text, '>{&quot;data&quot;:[{&quot;index&quot;:0},{&quot;index&quot;:1}')
})

t.test('of large events, a page has fewer, and the others are on the next pages', async t => {
  await redis.client.flushall()
  const person = await openPerson()
  const data = { text: 'x'.repeat(6 * 1024 * 1024) }
  for (let index = 0; index < 4; index++) await appendEvent(redis.client, { id: `large-${index}`, data })
  const rows: number[] = []
  for (let path = '/events?type=email.*'; path !== ''; ) {
    const { text } = await person.get(path)
    rows.push(positionsOf(text).length)
    path = linkOf(text, 'Search further back') || linkOf(text, 'Older')
  }
  // On a busy machine also fewer, because a search ends after 2 s.
  t.ok(
    rows.every(count => count <= 3),
    `rows of the pages: ${rows}`
  )
  t.equal(
    rows.reduce((sum, count) => sum + count, 0),
    4,
    'each event is on one page'
  )
  await redis.client.flushall()
})

t.test('times before 1970 and long ago are searched like others', async t => {
  await redis.client.flushall()
  const person = await openPerson()
  await appendEvent(redis.client, { id: 'a' })
  await redis.client.xadd('cio:dead:reports', '*', 'event', '{}', 'reason', 'failed')
  for (const [path, rows] of [
    ['/events?to=1960-01-01T00:00', 0],
    ['/events?from=1960-01-01T00:00', 1],
    ['/consumers/reports/dead-letters?since=1970-01-01T00:00', 1],
    ['/consumers/reports/dead-letters?since=1960-01-01T00:00', 1]
  ] as const) {
    const { status, text } = await person.get(path)
    t.equal(status, 200, path)
    t.equal(Math.max(0, (text.match(/<tr>/g) ?? []).length - 1), rows, path)
  }
})

t.test('a field that is there several times, or is too long, is not trusted', async t => {
  t.same(readSearch({ customer: ['a', 'b'], before: '../x' }, 0), {
    values: {},
    before: undefined,
    isLiveOff: false
  })
  t.equal(readSearch({ id: 'x'.repeat(10_000) }, 0).values.id?.length, 512)
  const search = readSearch({ from: '2026-11-24T10:00', to: '2026-11-24T10:00:01.5' }, 0)
  t.match(compileSearch(search, compileAddressHash(undefined)), {
    fromMs: Date.UTC(2026, 10, 24, 10),
    toMs: Date.UTC(2026, 10, 24, 10, 0, 1, 500)
  })
})
