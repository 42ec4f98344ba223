import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'

export const MASTER = 'mymaster'

/** A master with one replica, watched by three sentinels. */
export interface SentinelSet {
  /** host:port of each sentinel. */
  readonly sentinels: readonly string[]
  /**
   * Takes the master away, waits for the promotion, and sees to it that the old master comes back as a replica:
   * started again as one, or, if it was only stopped, made one by the sentinels.
   */
  failOver(by: 'SIGKILL' | 'SIGSTOP'): Promise<void>
  stop(): Promise<void>
}

const settings = { appendonly: 'yes', appendfsync: 'everysec', 'repl-diskless-sync-delay': '0' }
const PATIENCE_MS = 60_000

/**
 * One replica, as many as `replicated:1` waits for: with two, the one that has what was acknowledged need not be
 * the one that is promoted.
 */
export async function startSentinelSet(): Promise<SentinelSet> {
  let master: TestRedis = await startRedis(settings, { folder: temporaryFolder() })
  let replica: TestRedis = await startRedis(
    { ...settings, replicaof: `127.0.0.1 ${master.port}` },
    { folder: temporaryFolder() }
  )
  await linked(replica)
  const sentinels = await Promise.all(Array.from({ length: 3 }, () => startSentinel(master.port)))
  const agree = (masterPort: number): Promise<boolean> =>
    until(
      'the sentinels agreeing',
      async () => {
        const views = await Promise.all(
          sentinels.map(({ client }) => client.call('SENTINEL', 'MASTER', MASTER).catch(() => []))
        )
        return views.every(view => {
          const fields = view as string[]
          const field = (name: string) => fields[fields.indexOf(name) + 1]
          const flags = field('flags')
          return (
            field('port') === String(masterPort) &&
            field('num-other-sentinels') === '2' &&
            flags === 'master' &&
            field('num-slaves') !== '0'
          )
        })
      },
      PATIENCE_MS
    )
  await agree(master.port)

  return {
    sentinels: sentinels.map(({ port }) => `127.0.0.1:${port}`),
    failOver: async by => {
      const old = master
      const { port, folder } = old
      if (by === 'SIGKILL') await old.stop(by)
      else old.process.kill(by)
      await until(
        'the promotion',
        // Sentinel ends the connections of whom it promotes.
        async () => /role:master/.test(await replica.client.info('replication').catch(() => '')),
        PATIENCE_MS
      )
      master = replica
      if (by === 'SIGSTOP') old.process.kill('SIGCONT')
      replica =
        by === 'SIGSTOP'
          ? old
          : await startRedis({ ...settings, replicaof: `127.0.0.1 ${master.port}` }, { port, folder })
      await linked(replica)
      await agree(master.port)
    },
    stop: async () => {
      await Promise.all([...sentinels, replica, master].map(server => server.stop('SIGKILL')))
    }
  }
}

const linked = (replica: TestRedis) =>
  until(
    'the replica',
    async () => /master_link_status:up/.test(await replica.client.info('replication').catch(() => '')),
    PATIENCE_MS
  )

async function startSentinel(masterPort: number): Promise<TestRedis> {
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
      `sentinel down-after-milliseconds ${MASTER} 1000`,
      `sentinel failover-timeout ${MASTER} 5000`
    ].join('\n')
  )
  return startRedis({}, { port, folder, sentinel: path })
}
