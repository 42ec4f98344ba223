import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startRedis, type TestRedis } from './redis.ts'
import { freePort, temporaryFolder, until } from './server.ts'

/** A Redis Cluster of masters without replicas, every slot served. */
export async function startCluster(
  masters = 3
): Promise<{ nodes: readonly TestRedis[]; stop(): Promise<void> }> {
  const nodes = await Promise.all(
    Array.from({ length: masters }, async () =>
      startRedis({
        'cluster-enabled': 'yes',
        // Bus ports are the data port plus 10,000, which can be taken: any free one will do.
        'cluster-port': String(await freePort()),
        'cluster-node-timeout': '2000'
      })
    )
  )
  const addresses = nodes.map(node => `127.0.0.1:${node.port}`)
  const created = spawnSync('redis-cli', ['--cluster', 'create', ...addresses, '--cluster-yes'], {
    encoding: 'utf8'
  })
  if (created.status !== 0) throw new Error(`no cluster: ${created.stdout}${created.stderr}`)
  await until('the cluster', async () => {
    const states = await Promise.all(nodes.map(node => node.client.cluster('INFO')))
    return states.every(state => String(state).includes('cluster_state:ok'))
  })
  return { nodes, stop: async () => void (await Promise.all(nodes.map(node => node.stop('SIGKILL')))) }
}

/** Resolves once Sentinel has made this replica the master. It ends the connections of whom it promotes. */
export const promoted = (replica: TestRedis): Promise<boolean> =>
  until(
    'the promotion',
    async () => /role:master/.test(await replica.client.info('replication').catch(() => '')),
    60_000
  )

/** A master, a replica and three sentinels that agree about them. */
export async function startSentinels(): Promise<{
  master: TestRedis
  replica: TestRedis
  sentinels: readonly TestRedis[]
  stop(): Promise<void>
}> {
  const master = await startRedis({ 'repl-diskless-sync-delay': '0' })
  const replica = await startRedis({ replicaof: `127.0.0.1 ${master.port}` })
  await until('the replica', async () =>
    /master_link_status:up/.test(await replica.client.info('replication'))
  )
  const sentinels = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const port = await freePort()
      const folder = temporaryFolder()
      const path = join(folder, 'sentinel.conf')
      writeFileSync(
        path,
        [
          `port ${port}`,
          'bind 127.0.0.1',
          `dir ${folder}`,
          `sentinel monitor mymaster 127.0.0.1 ${master.port} 2`,
          'sentinel down-after-milliseconds mymaster 500',
          'sentinel failover-timeout mymaster 3000'
        ].join('\n')
      )
      return startRedis({}, { port, folder, sentinel: path })
    })
  )
  await until('the sentinels', async () => {
    const views = await Promise.all(sentinels.map(s => s.client.call('SENTINEL', 'MASTER', 'mymaster')))
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
