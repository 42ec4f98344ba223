import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { RedisAddress } from '../../src/settings/redis-address.ts'
import { startRedis, type TestRedis } from './redis.ts'
import { freePort, temporaryFolder, until } from './server.ts'

/** For test servers, which take any user. */
export const NO_LOGIN = { username: undefined, password: undefined, tls: false }

type ClusterAddress = Extract<RedisAddress, { kind: 'cluster' }>

/** A Redis Cluster of masters without replicas that serves every slot. */
export async function startCluster(
  masters = 3
): Promise<{ nodes: readonly TestRedis[]; address: ClusterAddress; stop(): Promise<void> }> {
  const nodes = await Promise.all(
    Array.from({ length: masters }, async () =>
      startRedis({
        'cluster-enabled': 'yes',
        // The default bus port, the data port plus 10,000, may be in use.
        'cluster-port': String(await freePort()),
        'cluster-node-timeout': '2000'
      })
    )
  )
  await createCluster(nodes.map(({ port }) => port))
  await until('the cluster is up', async () => {
    const states = await Promise.all(nodes.map(node => node.client.cluster('INFO')))
    return states.every(state => String(state).includes('cluster_state:ok'))
  })
  return {
    nodes,
    address: {
      kind: 'cluster',
      nodes: nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
      login: NO_LOGIN
    },
    stop: async () => void (await Promise.all(nodes.map(node => node.stop('SIGKILL'))))
  }
}

/** Makes masters of these servers, with a part of the slots each. */
export async function createCluster(ports: readonly number[]): Promise<void> {
  const addresses = ports.map(port => `127.0.0.1:${port}`)
  await promisify(execFile)('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes'])
}

/** The name under which the sentinels watch the master. */
export const MASTER = 'mymaster'

/** A loaded machine pauses processes for seconds. Without a fault of the test, no master counts as down. */
export const NEVER_DOWN_MS = 3_600_000

/** Starts a sentinel that watches a master, with a quorum of two. It replaces the master only after `setDownAfter`. */
export async function startSentinel(masterPort: number, failoverTimeoutMs: number): Promise<TestRedis> {
  const port = await freePort()
  const folder = temporaryFolder()
  const path = join(folder, 'sentinel.conf')
  writeFileSync(
    path,
    [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor ${MASTER} 127.0.0.1 ${masterPort} 2`,
      `sentinel down-after-milliseconds ${MASTER} ${NEVER_DOWN_MS}`,
      `sentinel failover-timeout ${MASTER} ${failoverTimeoutMs}`
    ].join('\n')
  )
  return startRedis({}, { port, folder, sentinel: path })
}

/** From now on, these sentinels replace a master that is silent for longer. One that hangs learns it afterwards. */
export function setDownAfter(sentinels: readonly TestRedis[], ms: number): void {
  for (const { client } of sentinels) {
    void client.call('SENTINEL', 'SET', MASTER, 'down-after-milliseconds', ms).catch(() => {})
  }
}

/**
 * Lets the sentinels replace their master, which must be down, and resolves once this replica is promoted. To be called
 * within ten times `DOWN_AFTER_MS` after the fault: Sentinel promotes no replica that lost its master long before.
 */
export async function failedOver(sentinels: readonly TestRedis[], replica: TestRedis): Promise<void> {
  setDownAfter(sentinels, DOWN_AFTER_MS)
  await promoted(replica)
  // Otherwise a pause of the machine could cause a second failover.
  setDownAfter(sentinels, NEVER_DOWN_MS)
}

const DOWN_AFTER_MS = 1000

/** Resolves once Sentinel has made this replica the master. Redis closes its connections when it is promoted. */
export const promoted = (replica: TestRedis): Promise<boolean> =>
  until(
    'the replica is promoted',
    async () => /role:master/.test(await replica.client.info('replication').catch(() => '')),
    // A sentinel whose machine was paused for seconds is inactive for half a minute (TILT).
    120_000
  )

/** A master, a replica and three sentinels that know each other. */
export async function startSentinels(): Promise<{
  master: TestRedis
  replica: TestRedis
  sentinels: readonly TestRedis[]
  stop(): Promise<void>
}> {
  const master = await startRedis({ 'repl-diskless-sync-delay': '0' })
  const replica = await startRedis({ replicaof: `127.0.0.1 ${master.port}` })
  await until('the replica is connected', async () =>
    /master_link_status:up/.test(await replica.client.info('replication'))
  )
  const sentinels = await Promise.all(Array.from({ length: 3 }, () => startSentinel(master.port, 3000)))
  await until('the sentinels know each other', async () => {
    const views = await Promise.all(sentinels.map(s => s.client.call('SENTINEL', 'MASTER', MASTER)))
    return views.every(view => {
      const fields = view as string[]
      const field = (name: string) => fields[fields.indexOf(name) + 1]
      return field('num-slaves') === '1' && field('num-other-sentinels') === '2'
    })
  })
  return {
    master,
    replica,
    sentinels,
    stop: async () =>
      void (await Promise.all([...sentinels, replica, master].map(server => server.stop('SIGKILL'))))
  }
}
