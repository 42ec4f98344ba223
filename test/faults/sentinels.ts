import { isDeepStrictEqual } from 'node:util'
import type { Redis } from 'ioredis'
import { failedOver, MASTER, startSentinel } from '../helpers/cluster.ts'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { temporaryFolder, until } from '../helpers/server.ts'

/** A master with one replica, watched by three sentinels. */
interface SentinelSet {
  /** host:port of each sentinel. */
  readonly sentinels: readonly string[]
  /**
   * Kills or pauses the master, waits until the replica is promoted, and brings the old master back as a replica: a
   * killed one is started as a replica, a paused one is demoted by the sentinels.
   */
  failOver(by: 'SIGKILL' | 'SIGSTOP'): Promise<void>
  stop(): Promise<void>
}

const settings = { appendonly: 'yes', appendfsync: 'everysec', 'repl-diskless-sync-delay': '0' }
/** A sentinel whose machine was paused for seconds is inactive for half a minute (TILT). */
const PATIENCE_MS = 120_000

/** One replica, for `replicated:1`: with two, the promoted one need not be the one that has the acknowledged events. */
export async function startSentinelSet(): Promise<SentinelSet> {
  let master: TestRedis = await startRedis(settings, { folder: temporaryFolder() })
  let replica: TestRedis = await startRedis(
    { ...settings, replicaof: `127.0.0.1 ${master.port}` },
    { folder: temporaryFolder() }
  )
  await linked(replica)
  const sentinels = await Promise.all(Array.from({ length: 3 }, () => startSentinel(master.port, 5000)))
  const agree = async (masterPort: number): Promise<void> => {
    const wanted = { port: String(masterPort), flags: 'master', 'num-other-sentinels': '2' }
    let views: Record<string, string | undefined>[] = []
    try {
      await until(
        'the sentinels agree',
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
      'the sentinels know the new master',
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
      await failedOver(sentinels, replica)
      // If the old master came back before all sentinels know the new one, they could keep the old one.
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

/** A sentinel's view of the master: these fields; empty if it does not respond. */
async function viewOf(client: Redis, names: readonly string[]): Promise<Record<string, string | undefined>> {
  const fields = (await client.call('SENTINEL', 'MASTER', MASTER).catch(() => [])) as string[]
  return Object.fromEntries(names.map(name => [name, fields[fields.indexOf(name) + 1]]))
}

const linked = (replica: TestRedis) =>
  until(
    'the replica is connected',
    async () => /master_link_status:up/.test(await replica.client.info('replication').catch(() => '')),
    PATIENCE_MS
  )
