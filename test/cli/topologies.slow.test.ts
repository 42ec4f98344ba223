import t from 'tap'
import { connectForCommand } from '../../src/cli/open-log.ts'
import { disconnectRedis } from '../../src/redis/connect.ts'
import { serverTime } from '../../src/redis/server-time.ts'
import { startCluster } from '../helpers/cluster.ts'
import { runToEnd } from '../helpers/command.ts'
import { deliveryBody } from '../helpers/consumers.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { answers, startReceiver } from '../helpers/receiver.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { KEY } from '../helpers/sign.ts'

t.setTimeout(600_000)

const PARTITIONS = 3
const EVENTS = 12
const cluster = await startCluster(PARTITIONS)
const receiver = await startReceiver(answers(200))
const env = {
  REDIS_CLUSTER_NODES: cluster.address.nodes.map(({ host, port }) => `${host}:${port}`).join(','),
  PARTITIONS: String(PARTITIONS),
  CIO_WEBHOOK_SECRET: KEY,
  HOST: '127.0.0.1',
  PORT: '0',
  CONSUMERS_FILE: consumersFile(
    httpConsumer('crm', receiver.url, { maxAttempts: 1, retryDelayMs: 10, maxRetryDelayMs: 50 })
  )
}
const service = await startTestService(env)
t.teardown(async () => {
  await service.close()
  await receiver.stop()
  await cluster.stop()
})

async function json(...args: readonly string[]) {
  const { code, stdout, stderr } = await runToEnd([...args, '--json'], env)
  return { code, stderr, value: JSON.parse(stdout || 'null') }
}

t.test('after connecting, a command reaches every master: also one that it has not used yet', async t => {
  for (let round = 0; round < 10; round++) {
    const redis = await connectForCommand(cluster.address)
    // TIME goes to any node.
    const times = await Promise.allSettled(Array.from({ length: 20 }, () => serverTime(redis)))
    disconnectRedis(redis)
    t.same(
      times.filter(({ status }) => status === 'rejected'),
      []
    )
  }
})

t.test('events are found, shown and replayed in every partition', async t => {
  for (let index = 0; index < EVENTS; index++) {
    t.equal((await service.post(deliveryBody(`e${index}`))).status, 200)
  }
  await until('delivered', async () => receiver.requests.length === EVENTS)
  const { stdout } = await runToEnd(['events', '--json', '--count', '100'], env)
  const found = stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line)) // prettier-ignore
  t.equal(found.length, EVENTS)
  t.ok(new Set(found.map(({ partition }) => partition)).size > 1, 'in several partitions')
  const byCustomer = await json('events', '--customer', 'e7')
  t.match(byCustomer, { code: 0, value: { event: { id: 'e7' } } })
  const acknowledged = await until('the attempt is written', async () => {
    const { value } = await json('events', 'show', 'e7')
    return value[0]?.consumers[0]?.attempts.length === 1 && value
  })
  t.match(acknowledged, [{ id: 'e7', consumers: [{ consumer: 'crm', state: 'acknowledged' }] }])
  t.match(await json('events', 'replay', 'crm', '--from', '1h'), { code: 0, value: { replayed: EVENTS } })
  await until('replayed', async () => receiver.requests.length === 2 * EVENTS)
})

t.test('consumers are shown, paused, tested, and their dead letters replayed and dropped', async t => {
  t.match((await json('consumers')).value, { consumers: [{ name: 'crm', state: 'ok', members: 1 }] })
  t.match(await json('consumers', 'show', 'crm'), { code: 0, value: { attempts: [{ answer: '200' }] } })
  t.match(await json('consumers', 'test', 'crm'), { code: 0, value: { accepted: true } })
  t.equal((await json('consumers', 'pause', 'crm')).code, 0)
  t.match((await json('consumers')).value, { consumers: [{ state: 'paused' }] })
  t.equal((await json('consumers', 'resume', 'crm')).code, 0)

  receiver.behave(answers(400))
  for (let index = 0; index < 4; index++) await service.post(deliveryBody(`dead-${index}`))
  const letters = await until('dead letters', async () => {
    const { value } = await json('consumers', 'dead', 'crm')
    return value.length === 4 && value
  })
  receiver.behave(answers(200))
  t.match(await json('consumers', 'replay', 'crm', letters[0].id), { code: 0, value: { replayed: 1 } })
  t.match(await json('consumers', 'drop', 'crm', '--all', '--yes'), { code: 0, value: { dropped: 3 } })
  const refused = await runToEnd(['consumers', 'remove', 'crm'], env)
  t.match(refused, { code: 2, stderr: /crm is active, with 1 member/ })
})

t.test('parked deliveries are listed and dropped', async t => {
  for (const body of ['{a', '{bb', '{ccc']) await service.post(body)
  t.equal((await json('consumers', 'parked')).value.length, 3)
  t.match(await json('consumers', 'drop-parked', '--all', '--yes'), { code: 0, value: { dropped: 3 } })
})

t.test('status, serve --check and rotate read every master', async t => {
  const status = await json('status')
  t.match(status.value, { redis: { state: 'up' }, consumers: [{ name: 'crm' }], replicas: [{}] })
  t.same(
    status.value.partitions.map(({ partition }: { partition: number }) => partition),
    [0, 1, 2]
  )
  t.equal(status.stderr, '')
  const check = await json('serve', '--check')
  t.equal(check.code, 0, JSON.stringify(check.value))
  for (let round = 0; round < 5; round++) {
    t.match(await runToEnd(['rotate', 'status'], env), { code: 0, stderr: '', stdout: /default/ })
  }
})
