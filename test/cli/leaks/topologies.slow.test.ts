import { Cluster } from 'ioredis'
import t from 'tap'
import { partitionKeys } from '../../../src/log/keys.ts'
import { KEY, leaks, SECRETS } from '../../fixtures/leaks-command.ts'
import { promoted, startCluster, startSentinels } from '../../helpers/cluster.ts'

t.setTimeout(600_000)

const LEAK = JSON.stringify({ key: KEY })

t.test('the event log of a Cluster is searched on every master, parked deliveries too', async t => {
  const { nodes, stop } = await startCluster()
  t.teardown(stop)
  const cluster = new Cluster(nodes.map(({ port }) => ({ host: '127.0.0.1', port })))
  t.teardown(() => cluster.disconnect())
  const partitions = Array.from({ length: 6 }, (_, partition) => partitionKeys('cio:', partition))
  for (const { events } of partitions) await cluster.xadd(events, '1-0', 'type', 'a', 'event', '{}')
  const perNode = await Promise.all(nodes.map(({ client }) => client.dbsize()))
  t.ok(perNode.filter(keys => keys > 0).length > 1, `spread: ${perNode}`)
  const env = {
    ...SECRETS,
    REDIS_CLUSTER_NODES: nodes.map(({ port }) => `127.0.0.1:${port}`).join(','),
    PARTITIONS: String(partitions.length)
  }
  t.match(await leaks(['--stream'], { env }), { code: 0, out: /6 entries of cio:events:\{0\}, / })

  for (const { events, parked } of partitions) {
    await cluster.xadd(events, '2-0', 'type', 'a', 'event', LEAK)
    await cluster.xadd(parked, '3-0', 'type', 'a', 'event', LEAK)
  }
  const { code, out } = await leaks(['--stream'], { env })
  t.equal(code, 1)
  for (const { events, parked } of partitions) {
    t.ok(out.includes(events) && out.includes(parked), `${events} and ${parked}`)
  }
  t.equal(out.match(/first in entry [23]-0/g)?.length, 12)
})

t.test('the event log behind Sentinel is searched, after a failover too', async t => {
  const { master, replica, sentinels, stop } = await startSentinels()
  t.teardown(stop)
  const env = {
    ...SECRETS,
    REDIS_SENTINELS: sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')
  }
  await master.client.xadd(partitionKeys('cio:', 0).events, '2-0', 'type', 'a', 'event', LEAK)
  await master.client.call('WAIT', '1', '2000')
  t.match(await leaks(['--stream'], { env }), { code: 1, out: /first in entry 2-0/ })

  await sentinels[0]?.client.call('SENTINEL', 'FAILOVER', 'mymaster')
  await promoted(replica)
  t.match(await leaks(['--stream'], { env }), { code: 1, out: /first in entry 2-0/ })
})
