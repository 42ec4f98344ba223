import { spawnSync } from 'node:child_process'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'

/** Three masters with one replica each. */
interface ReplicatedCluster {
  readonly addresses: readonly string[]
  readonly ports: readonly number[]
  /** Kills the master of a key, waits until its replica is promoted, and starts the old master again. */
  killMasterOf(key: string): Promise<void>
  stop(): Promise<void>
}

const NODES = 6
const PATIENCE_MS = 60_000

export async function startReplicatedCluster(): Promise<ReplicatedCluster> {
  const started = await Promise.all(
    Array.from({ length: NODES }, async () => {
      const busPort = String(await freePort())
      const settings = {
        'cluster-enabled': 'yes',
        'cluster-port': busPort,
        'cluster-node-timeout': '2000',
        'repl-diskless-sync-delay': '0',
        appendonly: 'yes'
      }
      return { settings, node: await startRedis(settings, { folder: temporaryFolder() }) }
    })
  )
  const addresses = started.map(({ node }) => `127.0.0.1:${node.port}`)
  const created = spawnSync(
    'redis-cli',
    ['--cluster', 'create', ...addresses, '--cluster-replicas', '1', '--cluster-yes'],
    { encoding: 'utf8' }
  )
  if (created.status !== 0) throw new Error(`cannot create the cluster: ${created.stdout}${created.stderr}`)
  await whole(started.map(({ node }) => node))

  return {
    addresses,
    ports: started.map(({ node }) => node.port),
    killMasterOf: async key => {
      const masterPort = await masterOf(
        started.map(({ node }) => node),
        key
      )
      const victim = started.find(({ node }) => node.port === masterPort)
      if (victim === undefined) throw new Error(`no master has ${key}`)
      const { port, folder } = victim.node
      await victim.node.stop('SIGKILL')
      const others = started.filter(one => one !== victim).map(({ node }) => node)
      await until('the replica is promoted', async () => (await masterOf(others, key)) !== port, PATIENCE_MS)
      victim.node = await startRedis(victim.settings, { port, folder })
      await whole(started.map(({ node }) => node))
    },
    stop: async () => void (await Promise.all(started.map(({ node }) => node.stop('SIGKILL'))))
  }
}

/** Resolves when every node reports that all slots are served, and every replica is connected to its master. */
const whole = (nodes: readonly TestRedis[]) =>
  until(
    'the cluster is complete',
    async () => {
      const views = await Promise.all(
        nodes.map(async ({ client }) => [
          String(await client.cluster('INFO')),
          await client.info('replication')
        ])
      ).catch(() => [])
      const replicas = views.filter(([, role]) => /master_link_status:up/.test(role ?? ''))
      return (
        views.length === NODES &&
        replicas.length === NODES / 2 &&
        views.every(([state]) => state?.includes('cluster_state:ok'))
      )
    },
    PATIENCE_MS
  )

async function masterOf(nodes: readonly TestRedis[], key: string): Promise<number | undefined> {
  const [witness] = nodes
  const slot = Number(await witness?.client.cluster('KEYSLOT', key))
  const ranges = (await witness?.client.cluster('SLOTS')) ?? []
  return ranges.find(([first, last]) => slot >= first && slot <= last)?.[2]?.[1]
}
