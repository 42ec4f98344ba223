import { once } from 'node:events'
import { type Cluster, Redis } from 'ioredis'
import { UnavailableError } from '../errors.ts'
import type { Durability } from '../settings/parse.ts'
import { sendCommand } from './command.ts'
import { mastersOf, type RedisClient, reconnectDelayMs } from './connect.ts'
import type { ServerFacts } from './server-facts.ts'

/** Waits until what a partition's connection has written is as durable as configured. */
export interface DurabilityWait {
  /** The connection to write on: the wait covers the writes of its own connection only. */
  readonly connection: () => Promise<RedisClient>
  /** @throws UnavailableError `durability_not_reached` */
  readonly wait: () => Promise<void>
}

export interface DurabilityWaits {
  readonly of: (key: string) => DurabilityWait
  /** Ends the connections that partitions have of their own. */
  readonly close: () => void
}

/** Longest wait for disks and replicas. If the call before it was slow, the delivery's deadline (3.35 s) comes first. */
const WAIT_MS = 1500

/** Longest wait for the partition's own connection, so that a call still fits into the delivery's deadline (3.35 s). */
const CONNECT_MS = 500

/**
 * @param facts asked for at each wait, since a failover may have brought another server
 * @returns `undefined` where Redis' own answer is promise enough
 */
export function durabilityWaits(
  redis: RedisClient,
  durability: Durability,
  facts: () => ServerFacts | undefined
): DurabilityWaits | undefined {
  if (durability.level === 'server') return undefined
  // `appendfsync always` writes to disk before it answers: the answer is the proof, on any connection.
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
 * A connection for one partition alone: WAIT and WAITAOF block theirs, and speak of its own writes only. On a
 * Cluster it goes to the node that holds the partition, and moves with it.
 */
function ownConnection(redis: RedisClient, key: string): OwnConnection {
  let original: Redis | undefined
  let own: Redis | undefined
  let slot: number | undefined
  return {
    open: async () => {
      const owner = redis instanceof Redis ? redis : await nodeOfPartition(redis)
      if (own === undefined || owner !== original) {
        own?.disconnect()
        original = owner
        own = duplicate(owner)
      }
      await untilReady(own)
      return own
    },
    close: () => own?.disconnect()
  }

  async function nodeOfPartition(cluster: Cluster): Promise<Redis> {
    slot ??= Number(await cluster.cluster('KEYSLOT', key))
    const address = cluster.slots[slot]?.[0]
    const node = mastersOf(cluster).find(({ options }) => `${options.host}:${options.port}` === address)
    if (node === undefined) throw new UnavailableError('redis_down')
    return node
  }
}

/** Its errors are the original's too, which tells them. */
function duplicate(original: Redis): Redis {
  // The nodes of a Cluster connect when they are first used, and do not come back by themselves.
  const copy = original.duplicate({ lazyConnect: false, retryStrategy: reconnectDelayMs })
  copy.on('error', () => {})
  return copy
}

async function untilReady(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return
  try {
    await once(redis, 'ready', { signal: AbortSignal.timeout(CONNECT_MS) })
  } catch (cause) {
    throw new UnavailableError('redis_down', { cause })
  }
}
