// Starts the command line for each answer that is compared.
import t from 'tap'
import { runToEnd } from '../helpers/command.ts'
import { type ApiAnswer, payload, startTestApi } from '../helpers/console-api.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

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
