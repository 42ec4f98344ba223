import { type Cluster, Redis } from 'ioredis'
import { UnavailableError } from '../errors.ts'
import type { Durability } from '../settings/parse.ts'
import { sendCommand } from './command.ts'
import { disconnectRedis, mastersOf, type RedisClient, reconnectDelayMs } from './connect.ts'
import { LastingRedis } from './lasting.ts'
import { waitUntilReady } from './ready.ts'
import type { ServerFacts } from './server-facts.ts'

/** Waits until the writes of a partition's connection are as durable as configured. */
export interface DurabilityWait {
  /** The connection to write on, since a wait only covers writes of its own connection. */
  readonly connection: () => Promise<RedisClient>
  /** @throws UnavailableError `durability_not_reached` */
  readonly wait: () => Promise<void>
}

interface DurabilityWaits {
  /** @param key any key of the partition */
  readonly of: (key: string) => DurabilityWait
  /** Closes the connections of the partitions. */
  readonly close: () => void
}

/**
 * Longest wait for disks and replicas. The script call before it may have taken up to 2 s: then the deadline of the
 * delivery (3.35 s) is first, and answers 503.
 */
const WAIT_MS = 1500
/** Longest wait for the partition's own connection, which leaves time for the script call before the deadline. */
const CONNECT_MS = 500

/**
 * @param facts called for each wait, since a failover may have brought another server
 * @returns `undefined` if no wait is configured
 */
export function durabilityWaits(
  redis: RedisClient,
  durability: Durability,
  facts: () => ServerFacts | undefined
): DurabilityWaits | undefined {
  if (durability.level === 'server') return undefined
  // With `appendfsync always`, Redis replies after the write is on disk, on any connection.
  const replyImpliesFsync = (): boolean =>
    durability.level === 'fsync' && facts()?.persistence === 'aof-always'
  const opened: OwnConnection[] = []
  return {
    of: key => {
      const own = ownConnection(redis, key)
      opened.push(own)
      return {
        connection: async () => (replyImpliesFsync() ? redis : own.open()),
        wait: async () => {
          if (replyImpliesFsync()) return
          const connection = await own.open()
          const reached =
            durability.level === 'fsync' ? await waitForDisk(connection) : await waitForReplicas(connection)
          if (!reached) throw new UnavailableError('durability_not_reached')
        }
      }
    },
    close: () => {
      for (const own of opened) own.close()
    }
  }

  async function waitForDisk(connection: Redis): Promise<boolean> {
    const [local] = (await sendCommand(connection, 'waitaof', [1, 0, WAIT_MS])) as [number, number]
    return local >= 1
  }

  async function waitForReplicas(connection: Redis): Promise<boolean> {
    const wanted = durability.level === 'replicated' ? durability.replicas : 0
    return Number(await sendCommand(connection, 'wait', [wanted, WAIT_MS])) >= wanted
  }
}

interface OwnConnection {
  open(): Promise<Redis>
  close(): void
}

/**
 * A connection for one partition: WAIT and WAITAOF block their connection, and cover its own writes only. On a Cluster
 * it goes to the node of the partition, and follows it to another node.
 */
function ownConnection(redis: RedisClient, key: string): OwnConnection {
  let original: Redis | undefined
  let own: Redis | undefined
  let slot: number | undefined
  return {
    open: async () => {
      const owner = redis instanceof Redis ? redis : await nodeOfPartition(redis)
      if (own === undefined || owner !== original) {
        close()
        original = owner
        own = duplicate(owner)
      }
      await waitUntilReady(own, CONNECT_MS)
      if (own.status !== 'ready') throw new UnavailableError('redis_down')
      return own
    },
    close
  }

  function close(): void {
    if (own !== undefined) disconnectRedis(own)
  }

  async function nodeOfPartition(cluster: Cluster): Promise<Redis> {
    slot ??= Number(await cluster.cluster('KEYSLOT', key))
    const address = cluster.slots[slot]?.[0]
    const node = mastersOf(cluster).find(({ options }) => `${options.host}:${options.port}` === address)
    if (node === undefined) throw new UnavailableError('redis_down')
    return node
  }
}

/** The original connection fails for the same reasons and reports them, so errors are ignored here. */
function duplicate(original: Redis): Redis {
  // Nodes of a Cluster connect when they are first used, queue the commands until then, and do not reconnect.
  const copy = new LastingRedis({
    ...original.options,
    lazyConnect: false,
    enableOfflineQueue: false,
    retryStrategy: reconnectDelayMs
  })
  copy.on('error', () => {})
  return copy
}
