import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { Redis } from 'ioredis'
import { promoted } from '../helpers/cluster.ts'
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
/** A sentinel whose machine paused for seconds (TILT) does nothing for half a minute. */
const PATIENCE_MS = 120_000

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
  const agree = async (masterPort: number): Promise<void> => {
    const wanted = { port: String(masterPort), flags: 'master', 'num-other-sentinels': '2' }
    let views: Record<string, string | undefined>[] = []
    try {
      await until(
        'the sentinels agreeing',
        async () => {
          const names = [...Object.keys(wanted), 'num-slaves']
          views = await Promise.all(sentinels.map(({ client }) => viewOf(client, names)))
          return views.every(
            ({ 'num-slaves': slaves, ...view }) => slaves !== '0' && isDeepStrictEqual(view, wanted)
          )
        },
        PATIENCE_MS
      )
    } catch (cause) {
      throw new Error(`the sentinels did not agree: ${JSON.stringify({ wanted, views })}`, { cause })
    }
  }
  const followed = (masterPort: number) =>
    until(
      'the sentinels following the failover',
      async () => {
        const views = await Promise.all(sentinels.map(({ client }) => viewOf(client, ['port'])))
        return views.every(({ port }) => port === String(masterPort))
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
      await promoted(replica)
      // If the old master came back before all sentinels know of the new one, they could keep the old one.
      await followed(replica.port)
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

/** What a sentinel says of the master, field by field; empty when it does not answer. */
async function viewOf(client: Redis, names: readonly string[]): Promise<Record<string, string | undefined>> {
  const fields = (await client.call('SENTINEL', 'MASTER', MASTER).catch(() => [])) as string[]
  return Object.fromEntries(names.map(name => [name, fields[fields.indexOf(name) + 1]]))
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
