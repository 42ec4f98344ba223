// What the API does beyond docs/openapi.yaml, which test/docs/console-api.slow.test.ts compares it with.
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { PASSWORD, startTestConsole } from '../helpers/console.ts'
import {
  API_TOKEN,
  type ApiAnswer,
  addDeadLetter,
  payload,
  startTestApi,
  type TestApi
} from '../helpers/console-api.ts'
import { appendEvent } from '../helpers/log.ts'
import { answers } from '../helpers/receiver.ts'
import { flushedRedis } from '../helpers/redis.ts'
import { freeze, until } from '../helpers/server.ts'

const redis = await flushedRedis(t)
/** Every replica obeys a pause after so long. */
const OBEYED_MS = 2200

async function open(t: Test, env?: Readonly<Record<string, string>>): Promise<TestApi> {
  const api = await startTestApi(redis.url, env)
  t.teardown(api.close)
  return api
}

/** The value at a path of an answer's JSON. */
const at = ({ body }: Pick<ApiAnswer, 'body'>, ...path: readonly (string | number)[]): unknown =>
  path.reduce<unknown>((value, key) => Reflect.get(Object(value), key), body)

const list = (answer: Pick<ApiAnswer, 'body'>, name: string): readonly unknown[] => {
  const found = at(answer, name)
  return Array.isArray(found) ? found : []
}

t.test('only the token opens the API: not a session, not a part of the token, not a URL', async t => {
  const { call, url, client } = await open(t)
  const person = client()
  await person.logIn(PASSWORD)
  t.equal((await person.get('/')).status, 200)
  t.equal((await person.get('/api/v1/status')).status, 401, 'a session of the pages')
  const tries = ['', 'Bearer', `Bearer ${API_TOKEN.slice(1)}`, `Bearer ${API_TOKEN}x`, `Basic ${API_TOKEN}`]
  for (const authorization of tries) {
    const answer = await call('GET /status', undefined, { authorization })
    t.same([answer.status, at(answer, 'code')], [401, 'CIO_UNAUTHORIZED'], authorization)
    t.equal(answer.headers.get('www-authenticate'), 'Bearer')
    t.equal(answer.headers.get('set-cookie'), null)
  }
  t.equal((await fetch(`${url}/api/v1/status?token=${API_TOKEN}`)).status, 401)
  t.equal((await call('GET /status')).status, 200)
  const encoded = await fetch(`${url}/api%2Fv1/status`)
  t.equal(encoded.status, 404)
})

t.test('of large events an answer has fewer, and says where to continue', async t => {
  const { call } = await open(t)
  const data = { text: 'x'.repeat(3 * 1024 * 1024) }
  const event = JSON.stringify({ data })
  for (let index = 0; index < 3; index++) {
    await appendEvent(redis.client, { id: `large-${index}`, type: 'io.customer.sms.sent', data })
    await redis.client.xadd(
      'cio:dead:crm',
      '*',
      'event',
      event,
      'reason',
      'failed',
      'id',
      '1-1',
      'partition',
      '0'
    )
  }
  for (const [path, name, next, from] of [
    ['/events?type=sms.*&count=100', 'events', 'older', 'before'],
    ['/consumers/crm/dead-letters?count=100', 'deadLetters', 'after', 'after']
  ] as const) {
    const first = await call(`GET ${path}`)
    const second = await call(`GET ${path}&${from}=${at(first, next)}`)
    t.same([list(first, name).length, list(second, name).length, at(second, next)], [2, 1, undefined], path)
  }
  await redis.client.del('cio:dead:crm', 'cio:events:{0}')
})

t.test('without CONSOLE_API_TOKEN no token is right', async t => {
  const { service, url } = await startTestConsole(redis.url)
  t.teardown(service.close)
  for (const authorization of [`Bearer ${API_TOKEN}`, 'Bearer undefined', 'Bearer ""']) {
    t.equal((await fetch(`${url}/api/v1/status`, { headers: { authorization } })).status, 401, authorization)
  }
})

t.test('an address with wrong tokens is blocked, others are not', async t => {
  const { call } = await open(t, { TRUSTED_PROXIES: '127.0.0.1' })
  const from = (address: string, token: string): Promise<ApiAnswer> =>
    call('GET /parked', undefined, { authorization: `Bearer ${token}`, 'x-forwarded-for': address })
  const statuses: number[] = []
  for (let tries = 0; tries < 14; tries++) statuses.push((await from('198.51.100.7', 'wrong')).status)
  t.same(statuses, [...Array(10).fill(401), ...Array(4).fill(429)])
  const right = await from('198.51.100.7', API_TOKEN)
  t.same([right.status, at(right, 'code')], [429, 'CIO_RATE_LIMITED'], 'no token is compared any more')
  t.equal((await from('198.51.100.8', API_TOKEN)).status, 200)
  for (let tries = 0; tries < 10; tries++) await from(`2001:db8::${tries + 1}`, 'wrong')
  t.equal((await from('2001:db8::ffff', API_TOKEN)).status, 429, 'a network of IPv6 counts as one')
  for (let tries = 0; tries < 20; tries++) t.equal((await from('198.51.100.8', API_TOKEN)).status, 200)
})

t.test('a search by e-mail address is a POST, and the address is in no answer, log line or URL', async t => {
  const { call, service } = await open(t)
  await service.post(payload())
  await service.post(payload({ event_id: 'other', data: { recipient: 'bob@example.com' } }))
  const found = await call('POST /events/search', { email: 'Ada@example.com' })
  t.same([found.status, list(found, 'events').length], [200, 1], found.text)
  t.equal(at(found, 'events', 0, 'event', 'subject'), '4711')
  for (const query of ['email=ada@example.com', 'customer=ada@example.com', 'customer=ada%40example.com']) {
    const answer = await call(`GET /events?${query}`)
    t.equal(answer.status, 400, query)
    t.notMatch(answer.text, /ada/)
  }
  const unknown = await call('POST /consumers/crm/replay', { eventIds: ['ada@example.com'] })
  t.equal(unknown.status, 404)
  t.equal((await call('POST /events/search', { email: 'nobody' })).status, 400)
  t.notMatch(service.logText(), /ada@|Ada@/)
})

t.test('numbers of an event have all their digits', async t => {
  const { call, service } = await open(t)
  await service.post(payload().replace('"4711"', '9007199254740993'))
  for (const route of ['GET /events', 'GET /events/01J8ZK6T9QW3E5R7Y1U2I3O4P5']) {
    t.match((await call(route)).text, /"customer_id":9007199254740993\b/, route)
  }
  await until(
    'it is delivered',
    async () => list(await call('GET /consumers/crm/attempts'), 'attempts').length === 1
  )
})

t.test('two searches at once are run, a third one is told to wait', async t => {
  const { call } = await open(t, { DISPATCH: 'off' })
  await freeze(redis)
  const running = [call('GET /events'), call('GET /events/one')]
  const third = await until('a refused search', async () => {
    const answer = await call('GET /events')
    return answer.status === 429 && answer
  }).finally(() => redis.process.kill('SIGCONT'))
  t.same([at(third, 'code'), third.headers.get('retry-after')], ['CIO_RATE_LIMITED', '1'])
  await Promise.all(running)
  await until('a search is possible again', async () => (await call('GET /events')).status === 200)
})

t.test(
  'pages of events, dead letters, parked deliveries and audit records contain each exactly once',
  async t => {
    const api = await open(t, { DISPATCH: 'off' })
    const { call, service } = api
    for (let index = 0; index < 45; index++) await service.post(`{"${index}`)
    for (let index = 0; index < 45; index++) await appendEvent(redis.client, { id: `e${index}` })
    for (let index = 0; index < 45; index++) {
      const fields = [
        'type',
        'io.customer.email.opened',
        'event',
        '{}',
        'reason',
        'failed',
        'error',
        'x',
        'attempts',
        '1'
      ]
      await redis.client.xadd('cio:dead:crm', `${index + 1}-0`, ...fields, 'position', `0-${index}-0`)
    }
    for (let index = 0; index < 45; index++) await call('POST /consumers/crm/pause')

    await pages('GET /events?count=20', 'events', 'before', 'older')
    await pages('GET /consumers/crm/dead-letters?count=20', 'deadLetters', 'after', 'after')
    await pages('GET /parked?count=20', 'parked', 'after', 'after')
    await pages('GET /audit?count=20', 'records', 'before', 'before')

    async function pages(route: string, name: string, parameter: string, cursor: string): Promise<void> {
      const seen: string[] = []
      for (let page = 0, next: unknown; page < 4; page++) {
        const answer = await call(next === undefined ? route : `${route}&${parameter}=${next}`)
        t.equal(answer.status, 200, answer.text)
        seen.push(...list(answer, name).map(one => JSON.stringify(one)))
        next = at(answer, cursor)
        if (next === undefined) break
      }
      t.equal(seen.length, 45)
      t.equal(new Set(seen).size, 45)
    }
  }
)

t.test('changes reach the consumer and Redis, and each is an audit record of the token', async t => {
  const api = await open(t)
  const { call, receiver, service } = api
  const done = async (route: string, body?: unknown): Promise<ApiAnswer> => {
    const answer = await call(route, body)
    t.equal(answer.status, 200, `${route} ${answer.text}`)
    return answer
  }
  const state = async (): Promise<unknown> => at(await call('GET /consumers/crm'), 'state')
  await addDeadLetter(api, 'one')
  await addDeadLetter(api, 'two')
  const letters = list(
    await done('GET /consumers/crm/dead-letters?reason=failed&type=email.*'),
    'deadLetters'
  )
  t.equal(letters.length, 2)
  const [letter] = letters.map(one => String(Reflect.get(Object(one), 'id')))

  const before = receiver.requests.length
  await done('POST /consumers/crm/replay', { ids: [letter] })
  await until('the dead letter is delivered', async () => receiver.requests.length === before + 1)
  t.match(receiver.requests.at(-1)?.body, /"id":"one"/)
  t.equal(await redis.client.xlen('cio:dead:crm'), 1)
  await done('POST /consumers/crm/drop', { all: true, reason: 'malformed' })
  t.equal(await redis.client.xlen('cio:dead:crm'), 1, 'the filter chooses')
  await done('POST /consumers/crm/drop', { all: true })
  t.equal(await redis.client.xlen('cio:dead:crm'), 0)

  await until(
    'acknowledged',
    async () => at(await call('GET /events/one'), 0, 'consumers', 0, 'state') === 'acknowledged'
  )
  const position = String(at(await done('GET /events/one'), 0, 'position'))
  await done(`POST /events/${position}/redeliver`, { consumer: 'crm' })
  await until('it is delivered again', async () => receiver.requests.length === before + 2)
  t.match(receiver.requests.at(-1)?.headers, { 'webhook-id': 'one' })

  await done('POST /consumers/crm/pause')
  t.equal(await state(), 'paused')
  await sleep(OBEYED_MS)
  await service.post(payload({ event_id: 'while-paused' }))
  await done('POST /consumers/crm/test')
  t.match(receiver.requests.at(-1)?.body, /cio_webhook\.test/, 'a test is possible, the event waits')
  await done('POST /consumers/crm/resume')
  await until('the event is delivered', async () => /while-paused/.test(receiver.requests.at(-1)?.body ?? ''))

  receiver.behave(answers(410))
  await service.post(payload({ event_id: 'gone' }))
  await until('it is disabled', async () => (await state()) === 'disabled')
  receiver.behave(answers(204))
  await done('POST /consumers/crm/enable')
  await until('the event is delivered', async () => /"gone"/.test(receiver.requests.at(-1)?.body ?? ''))

  const parked = await service.post('{"the body": ')
  const id = String(parked.body['id'])
  const revealed = await call(`POST /parked/${id}/reveal`)
  t.same([revealed.status, revealed.text], [200, '{"the body": '])
  t.equal((await call(`POST /parked/${id}/replay`)).status, 409)
  await done(`POST /parked/${id}/drop`)
  t.equal(await redis.client.xlen('cio:parked:{0}'), 0)

  const records = list(await done('GET /audit'), 'records').map(record => {
    const { who, role, action, target, address } = Object(record)
    t.same([who, role, address], ['api token', 'operator', '127.0.0.1'])
    return [action, target]
  })
  t.same(records.reverse(), [
    ['dead_letters_replayed', `crm: dead letters ${letter}`],
    ['dead_letters_dropped', 'crm: all dead letters with reason malformed'],
    ['dead_letters_dropped', 'crm: all dead letters'],
    ['event_sent_again', `${position} to crm`],
    ['consumer_paused', 'crm'],
    ['consumer_tested', 'crm'],
    ['consumer_resumed', 'crm'],
    ['consumer_enabled', 'crm'],
    ['parked_revealed', id],
    ['parked_dropped', id]
  ])
  t.notMatch(service.logText(), new RegExp(`the body|${API_TOKEN}`))
})

t.test('what is refused changes nothing, and is no audit record', async t => {
  const { call } = await open(t)
  const cases: readonly [string, unknown, number][] = [
    ['POST /consumers/nobody/pause', undefined, 404],
    ['POST /consumers/crm/drop', undefined, 400],
    ['POST /consumers/crm/drop', {}, 400],
    ['POST /consumers/crm/drop', { all: false }, 400],
    ['POST /consumers/crm/drop', { all: true, ids: ['1-1'] }, 400],
    ['POST /consumers/crm/drop', { reason: 'failed' }, 400],
    ['POST /consumers/crm/drop', { ids: ['1-1'] }, 404],
    ['POST /consumers/crm/drop', { ids: Array(201).fill('1-1') }, 400],
    ['POST /consumers/crm/replay', { all: true, type: ['no such type!'] }, 400],
    ['POST /consumers/crm/pause', { name: 'other' }, 400],
    ['POST /events/0-1-1/redeliver', { consumer: 'crm' }, 404],
    ['POST /events/nonsense/redeliver', { consumer: 'crm' }, 400],
    ['POST /events/search', '{"__proto__": {"email": "x"}}', 400],
    ['POST /events/search', `{"email": "${'x'.repeat(70_000)}"}`, 400],
    ['POST /parked/0-1-1/reveal', undefined, 404],
    ['DELETE /consumers/crm', undefined, 404],
    ['GET /consumers/crm/attempts?count=0', undefined, 400],
    ['GET /consumers/crm/attempts?count=1&count=2', undefined, 400],
    ['GET /events?from=yesterday', undefined, 400],
    ['GET /%', undefined, 400]
  ]
  for (const [route, body, status] of cases) {
    const answer = await call(route, body)
    t.equal(answer.status, status, `${route} ${JSON.stringify(body)?.slice(0, 60)}: ${answer.text}`)
    t.same(Object.keys(Object(answer.body)), ['error', 'code'], route)
    t.notMatch(answer.text, /\n|node:|\.ts:/, 'no stack')
  }
  const form = await call('POST /consumers/crm/drop', 'all=true', {
    'content-type': 'application/x-www-form-urlencoded'
  })
  t.same([form.status, at(form, 'code')], [400, 'CIO_BAD_REQUEST'])
  t.same(list(await call('GET /audit'), 'records'), [])
})
