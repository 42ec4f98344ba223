import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, Redis } from 'ioredis'
import { MASTER, startCluster } from '../../helpers/cluster.ts'
import { startRedis, type TestRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { createReplica } from '../replica.ts'
import { startReplicatedCluster } from '../replicated-cluster.ts'
import { alone, CLIENT_OPTIONS, runUnderLoad } from '../run-under-load.ts'
import type { Outcome, Scenario, Setting } from '../scenario.ts'
import { startSentinelSet } from '../sentinels.ts'
import { moveSlot } from '../slots.ts'

/** The master is killed or paused, the replica is promoted, the old master comes back as a replica. */
async function failover(setting: Setting): Promise<Outcome> {
  const rounds = setting.full ? 10 : 2
  const set = await startSentinelSet()
  const replica = await createReplica(
    { REDIS_SENTINELS: set.sentinels.join(','), DURABILITY: 'replicated:1' },
    setting.main
  )
  try {
    await replica.start()
    await replica.ready()
    const target = {
      port: () => replica.port,
      replicas: [replica],
      partitions: 1,
      connect: () => {
        const nodes = set.sentinels.map(address => ({
          host: '127.0.0.1',
          port: Number(address.split(':')[1])
        }))
        const client = new Redis({ sentinels: nodes, name: MASTER, ...CLIENT_OPTIONS })
        client.on('error', () => {})
        return client
      }
    }
    const observed = await runUnderLoad(target, { random: setting.random }, async load => {
      for (let n = 0; n < rounds; n++) {
        await load.acknowledged(60)
        await sleep(setting.random.between(0, 200))
        const by = n % 2 === 0 ? 'SIGKILL' : 'SIGSTOP'
        load.fault(`${by} of the master, replica promoted`)
        await set.failOver(by)
      }
    })
    return { observed, demands: { acknowledged: rounds * 60, faults: rounds, retried: rounds } }
  } finally {
    await replica.kill()
    await set.stop()
  }
}

const PARTITIONS = 6

/** One of three masters is killed and comes back; then a slot is moved under load. */
async function clusterFaults(setting: Setting): Promise<Outcome> {
  const rounds = setting.full ? 10 : 2
  const persistence = { appendonly: 'yes', appendfsync: 'always' }
  const cluster = await startCluster(3)
  const nodes: TestRedis[] = [...cluster.nodes]
  for (const node of nodes)
    for (const [name, value] of Object.entries(persistence)) await node.client.config('SET', name, value)
  for (const node of nodes) await node.client.config('REWRITE').catch(() => {})
  const addresses = nodes.map(node => `127.0.0.1:${node.port}`).join(',')
  const replica = await createReplica(
    { REDIS_CLUSTER_NODES: addresses, DURABILITY: 'fsync', PARTITIONS: String(PARTITIONS) },
    setting.main
  )
  try {
    await replica.start()
    await replica.ready()
    const target = alone(replica, PARTITIONS, () => connectToCluster(nodes.map(({ port }) => port)))
    const observed = await runUnderLoad(target, { random: setting.random }, async load => {
      for (let n = 0; n < rounds; n++) {
        await load.acknowledged(60)
        load.fault('cluster node killed')
        const index = setting.random.whole(0, nodes.length)
        const lost = nodes[index] as TestRedis
        await kill(lost)
        await sleep(setting.random.between(0, 4000))
        const settings = {
          ...persistence,
          'cluster-enabled': 'yes',
          'cluster-node-timeout': '2000',
          'cluster-port': await busPort(nodes, lost)
        }
        nodes[index] = await startRedis(settings, { port: lost.port, folder: lost.folder })
        await load.acknowledged(60)
        const partition = setting.random.whole(0, PARTITIONS)
        load.fault('slot moved')
        await moveSlot(nodes, `cio:events:{${partition}}`, setting.random)
      }
    })
    return { observed, demands: { acknowledged: rounds * 120, faults: rounds * 2, retried: rounds } }
  } finally {
    await replica.kill()
    await Promise.all(nodes.map(node => node.stop('SIGKILL')))
  }
}

/** Keeps the folder, so that the node can be started again with its data. */
async function kill({ process, client }: TestRedis): Promise<void> {
  client.disconnect()
  process.kill('SIGKILL')
  await until('the node has exited', async () => process.signalCode !== null)
}

/** The bus port by which the other nodes know this one. */
async function busPort(nodes: readonly TestRedis[], lost: TestRedis): Promise<string> {
  const witness = nodes.find(node => node !== lost)
  const view = String(await witness?.client.cluster('NODES'))
  const [, port = '0'] = new RegExp(`127\\.0\\.0\\.1:${lost.port}@(\\d+)`).exec(view) ?? []
  return port
}

/** Three masters with one replica each: a master is killed, its replica is promoted. */
async function clusterFailover(setting: Setting): Promise<Outcome> {
  const rounds = setting.full ? 8 : 1
  const set = await startReplicatedCluster()
  const replica = await createReplica(
    {
      REDIS_CLUSTER_NODES: set.addresses.join(','),
      DURABILITY: 'replicated:1',
      PARTITIONS: String(PARTITIONS)
    },
    setting.main
  )
  try {
    await replica.start()
    await replica.ready()
    const target = alone(replica, PARTITIONS, () => connectToCluster(set.ports))
    const observed = await runUnderLoad(target, { random: setting.random }, async load => {
      for (let n = 0; n < rounds; n++) {
        await load.acknowledged(60)
        const partition = setting.random.whole(0, PARTITIONS)
        load.fault('cluster master killed, replica promoted')
        await set.killMasterOf(`cio:events:{${partition}}`)
      }
    })
    return { observed, demands: { acknowledged: rounds * 60, faults: rounds, retried: rounds } }
  } finally {
    await replica.kill()
    await set.stop()
  }
}

function connectToCluster(ports: readonly number[]): Cluster {
  const seeds = ports.map(port => ({ host: '127.0.0.1', port }))
  const client = new Cluster(seeds, { redisOptions: CLIENT_OPTIONS, clusterRetryStrategy: () => 100 })
  client.on('error', () => {})
  return client
}

export const topologies: readonly Scenario[] = [
  {
    name: 'sentinel-failover',
    about: 'the master behind Sentinel is killed or paused, the replica is promoted, DURABILITY=replicated:1',
    run: failover
  },
  {
    name: 'cluster',
    about: 'a Cluster node is killed and comes back, and slots are moved under load, DURABILITY=fsync',
    run: clusterFaults
  },
  {
    name: 'cluster-failover',
    about: 'a Cluster master is killed, its replica is promoted, DURABILITY=replicated:1',
    run: clusterFailover
  }
]
