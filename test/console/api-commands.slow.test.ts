// Starts the command line for each answer that is compared.
import t from 'tap'
import { deadLetters } from '../../src/group/dead-letters.ts'
import { runToEnd } from '../helpers/command.ts'
import { type ApiAnswer, payload, startTestApi } from '../helpers/console-api.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { runCommand } from '../helpers/process.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { KEY } from '../helpers/sign.ts'

/** The value at a path of an answer's JSON. */
const at = ({ body }: Pick<ApiAnswer, 'body'>, ...path: readonly (string | number)[]): unknown =>
  path.reduce<unknown>((value, key) => Reflect.get(Object(value), key), body)

t.test('the API answers what the commands print with --json', async t => {
  const redis = await startRedis()
  const api = await startTestApi(redis.url)
  const { call, receiver, service } = api
  t.teardown(async () => {
    await api.close()
    await redis.stop()
  })
  await service.post(payload())
  await service.post('{')
  await until('it is delivered', async () => receiver.requests.length === 1)
  const consumers = consumersFile(httpConsumer('crm', receiver.url, { maxAttempts: 1, types: ['email.*'] }))
  const env = { REDIS_URL: redis.url, CONSUMERS_FILE: consumers }
  const command = async (line: string): Promise<unknown> => {
    const { stdout, stderr } = await runToEnd([...line.split(' '), '--json'], env)
    t.equal(stderr, '', line)
    return JSON.parse(stdout)
  }
  /** Times that differ between two readings. */
  const still = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value), (key, inner) =>
      key === 'lastActiveMs' || key === 'idleMs' ? 0 : inner
    )
  const id = '01J8ZK6T9QW3E5R7Y1U2I3O4P5'
  await until(
    'the success is recorded',
    async () => at(await call('GET /consumers/crm'), 'lastSuccessAtMs') !== undefined
  )
  for (const [line, route, path] of [
    ['consumers', 'GET /consumers', []],
    ['consumers show crm', 'GET /consumers/crm', []],
    ['consumers dead crm', 'GET /consumers/crm/dead-letters', ['deadLetters']],
    ['consumers parked', 'GET /parked', ['parked']],
    [`events show ${id}`, `GET /events/${id}`, []],
    [`events --id ${id}`, `GET /events?id=${id}`, ['events', 0]]
  ] as const) {
    t.same(still(at(await call(route), ...path)), still(await command(line)), line)
  }
  t.same(
    Object.keys(Object((await call('GET /status')).body)),
    Object.keys(Object(await command('status'))),
    'status has the same fields'
  )
})

t.test('of command line, API and console, only one replays or drops dead letters of a consumer', async t => {
  const redis = await startRedis()
  const api = await startTestApi(redis.url)
  const { call, receiver, client } = api
  t.teardown(async () => {
    await api.close()
    await redis.stop()
  })
  const letters = deadLetters(redis.client, 'cio:')
  const type = 'io.customer.email.opened'
  for (let index = 0; index < 40; index++) {
    const event = JSON.stringify({ specversion: '1.0', id: `e${index}`, source: '/customerio/default', type })
    const failure = { reason: 'failed', error: new Error('as a test'), attempts: 1 } as const
    await letters.add('crm', { type, event, position: '0-1-0' }, failure)
  }
  const consumers = consumersFile(httpConsumer('crm', receiver.url, { maxAttempts: 1, types: ['email.*'] }))
  const env = { REDIS_URL: redis.url, CONSUMERS_FILE: consumers }
  const replay = runCommand(['consumers', 'replay', 'crm', '--all', '--rate', '2'], env)
  await until('the first replayed', async () => receiver.requests.length > 0)

  const busy = /dead letters of crm are being replayed or dropped already, started by the command line: wait/
  const drop = await runToEnd(['consumers', 'drop', 'crm', '--all', '--yes'], env)
  t.match(drop, { code: 2, stderr: busy })
  for (const action of ['replay', 'drop']) {
    const answer = await call(`POST /consumers/crm/${action}`, { all: true })
    t.match(answer, { status: 409, body: { code: 'CIO_CONFLICT', error: busy } }, action)
  }
  const person = client()
  await person.logIn('operators: correct horse')
  const page = await person.get('/consumers/crm/dead-letters')
  t.match(page.text, /Replaying: \d+ handled, started by the command line/)
  const refused = await person.post('/consumers/crm/dead-letters', {
    action: 'replay matching',
    confirmed: 'yes'
  })
  t.match(refused, { status: 409, text: busy })
  await person.get('/consumers/crm/dead-letters')
  t.equal((await person.post('/consumers/crm/progress/stop')).status, 303)
  t.equal(await replay.ended, 1)
  t.match(replay.output(), 'interrupted: the same command continues with the rest')
  const rest = await call('POST /consumers/crm/drop', { all: true })
  t.match(rest, { status: 200, body: { dropped: Number } })
  t.equal(await letters.count('crm'), 0)
})

t.test('of command line and API, only one replays or drops parked deliveries', async t => {
  const redis = await startRedis()
  const api = await startTestApi(redis.url)
  t.teardown(async () => {
    await api.close()
    await redis.stop()
  })
  await api.service.post('{')
  await redis.client.set('cio:bulk-lock:parked', 'another one', 'PX', 60_000)
  const busy = /parked deliveries are being replayed or dropped already: wait/
  const env = { REDIS_URL: redis.url, CIO_WEBHOOK_SECRET: KEY }
  for (const line of ['replay-parked --all', 'drop-parked --all --yes']) {
    t.match(await runToEnd(['consumers', ...line.split(' ')], env), { code: 2, stderr: busy }, line)
  }
  const { body } = await api.call('GET /parked')
  const delivery = String(at({ body }, 'parked', 0, 'delivery'))
  for (const action of ['replay', 'drop']) {
    const answer = await api.call(`POST /parked/${delivery}/${action}`)
    t.match(answer, { status: 409, body: { error: busy } }, action)
  }
})
