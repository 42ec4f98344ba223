import t from 'tap'
import { failedOver, startCluster, startSentinels } from '../helpers/cluster.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { runCommand } from '../helpers/process.ts'
import { answers, startReceiver } from '../helpers/receiver.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { KEY } from '../helpers/sign.ts'

t.setTimeout(600_000)

const body = (id: string): string =>
  JSON.stringify({
    event_id: id,
    object_type: 'email',
    metric: 'opened',
    timestamp: 1795510800,
    data: { customer_id: id }
  })

t.test('on a Cluster the log, the queues and the commands work over all partitions', async t => {
  const cluster = await startCluster()
  const receiver = await startReceiver()
  const env = {
    REDIS_CLUSTER_NODES: cluster.nodes.map(({ port }) => `127.0.0.1:${port}`).join(','),
    PARTITIONS: '4',
    CIO_WEBHOOK_SECRET: KEY,
    CONSUMERS_FILE: consumersFile(
      httpConsumer('crm', receiver.url, { maxAttempts: 1 }),
      httpConsumer('shop', receiver.url)
    )
  }
  const service = await startTestService(env)
  t.teardown(async () => {
    await service.close()
    await receiver.stop()
    await cluster.stop()
  })
  for (let index = 0; index < 40; index++) t.equal((await service.post(body(`e${index}`))).status, 200)
  await until('both have all', async () => receiver.requests.length >= 80, 30_000)
  t.equal(new Set(receiver.requests.map(({ headers }) => headers['webhook-id'])).size, 40)

  const run = async (...args: string[]) => {
    const command = runCommand(args, env)
    return { code: await command.ended, output: command.output() }
  }
  const list = await until(
    'all acknowledged',
    async () => {
      const answer = await run('consumers', '--json')
      return answer.code === 0 && answer
    },
    30_000
  )
  t.match(JSON.parse(list.output).consumers, [
    { name: 'crm', lag: 0, pending: 0, queued: 0 },
    { name: 'shop', lag: 0, pending: 0, queued: 0 }
  ])
  receiver.behave(answers(500))
  const before = receiver.requests.length
  t.match((await run('events', 'replay', 'crm', '--from', '1h', '--id', 'e7')).output, '1 replayed to crm')
  await until('replayed', async () => receiver.requests.length > before)
  receiver.behave(answers(200))
  const replayed = await until(
    'a dead letter, replayed',
    async () => {
      const answer = await run('consumers', 'replay', 'crm', '--all')
      return answer.output.startsWith('1 replayed') && answer
    },
    30_000
  )
  t.equal(replayed.code, 0)
  await until('replayed', async () => receiver.requests.length >= before + 2)
})

t.test('after a failover behind Sentinel, consumers continue with the new master', async t => {
  const { master, replica, sentinels, stop } = await startSentinels()
  const receiver = await startReceiver()
  const service = await startTestService({
    REDIS_SENTINELS: sentinels.map(({ port }) => `127.0.0.1:${port}`).join(','),
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url))
  })
  t.teardown(async () => {
    await service.close()
    await receiver.stop()
    await stop()
  })
  t.equal((await service.post(body('before'))).status, 200)
  await until('delivered', async () => receiver.requests.length === 1)
  await master.stop('SIGKILL')
  await failedOver(sentinels, replica)
  await until('accepted again', async () => (await service.post(body('after'))).status === 200, 30_000)
  await until(
    'delivered',
    async () => receiver.requests.some(({ headers }) => headers['webhook-id'] === 'after'),
    45_000
  )
  t.pass()
})
