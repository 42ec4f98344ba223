import t from 'tap'
import { failedOver, startCluster, startSentinels } from '../helpers/cluster.ts'
import { freeze, until } from '../helpers/server.ts'
import { deliverTo, startTestService } from '../helpers/service.ts'
import { WEBHOOK_PATH } from '../helpers/sign.ts'

let ids = 0
const newBody = (customer = 'c'): string =>
  JSON.stringify({
    event_id: `id-${++ids}`,
    object_type: 'email',
    metric: 'sent',
    data: { customer_id: customer }
  })

t.test('on a Cluster the partitions are spread over the masters, with each event once', async t => {
  const { nodes, stop } = await startCluster()
  t.teardown(stop)
  const env = { REDIS_CLUSTER_NODES: nodes.map(node => `127.0.0.1:${node.port}`).join(','), PARTITIONS: '6' }
  const services = await Promise.all([startTestService(env), startTestService(env)])
  t.teardown(() => Promise.all(services.map(service => service.close())))

  const bodies = Array.from({ length: 120 }, (_, n) => newBody(`customer-${n % 30}`))
  const answers = await Promise.all(
    bodies.flatMap(body => services.map(service => deliverTo(`${service.url}${WEBHOOK_PATH}`, body)))
  )
  t.ok(answers.every(answer => answer.status === 200))
  t.equal(answers.filter(answer => answer.body['status'] === 'accepted').length, bodies.length)

  const perNode = await Promise.all(
    nodes.map(async node => {
      const streams = await node.client.keys('cio:events:*')
      const lengths = await Promise.all(streams.map(stream => node.client.xlen(stream)))
      return lengths.reduce((sum, length) => sum + length, 0)
    })
  )
  t.equal(
    perNode.reduce((sum, length) => sum + length, 0),
    bodies.length
  )
  t.ok(perNode.filter(length => length > 0).length > 1, `spread: ${perNode}`)
})

t.test('on a Cluster durability is awaited on the master of the partition', async t => {
  const { nodes, stop } = await startCluster()
  t.teardown(stop)
  const service = await startTestService({
    REDIS_CLUSTER_NODES: `127.0.0.1:${nodes[0]?.port}`,
    PARTITIONS: '6',
    DURABILITY: 'replicated:1'
  })
  t.teardown(() => service.close())
  for (let n = 0; n < 3; n++) {
    t.equal((await service.post(newBody(`customer-${n}`))).status, 503, 'these masters have no replicas')
  }
  t.ok(
    service.logLines().some(line => line['reason'] === 'durability_not_reached'),
    'and that is why'
  )
})

t.test('with Sentinel a failover causes some 503, and loses no event that was answered with 200', async t => {
  const { master, replica, sentinels, stop } = await startSentinels()
  t.teardown(stop)
  const service = await startTestService({
    REDIS_SENTINELS: sentinels.map(sentinel => `127.0.0.1:${sentinel.port}`).join(','),
    DURABILITY: 'replicated:1'
  })
  t.teardown(() => service.close())
  const before = Array.from({ length: 20 }, () => newBody())
  for (const body of before) t.equal((await service.post(body)).status, 200)

  await master.stop('SIGKILL')
  const during = newBody()
  t.equal((await service.post(during)).status, 503)
  await failedOver(sentinels, replica)
  await until(
    'the service finding the new master',
    async () => (await fetch(`${service.url}/readyz`)).ok,
    20_000
  )

  // The new master has no replica yet, so new events get 503, and known ones are duplicates.
  const kept = (await replica.client.xrange('cio:events:{0}', '-', '+')).map(
    ([, fields]) => JSON.parse(fields[3] ?? '{}').id
  )
  for (const body of before) t.equal(kept.filter(id => id === JSON.parse(body).event_id).length, 1)
})

t.test('the service finds the new master while a sentinel hangs', async t => {
  const { master, replica, sentinels, stop } = await startSentinels()
  t.teardown(stop)
  const service = await startTestService({
    REDIS_SENTINELS: sentinels.map(sentinel => `127.0.0.1:${sentinel.port}`).join(',')
  })
  t.teardown(() => service.close())
  // It is asked first, so the failover is reported during the wait for its reply.
  const [first] = sentinels
  if (first !== undefined) await freeze(first)
  await master.stop('SIGKILL')
  await failedOver(sentinels, replica)
  await until(
    'the service finding the new master',
    async () => (await service.post(newBody())).status === 200
  )
})
