import { randomUUID } from 'node:crypto'
import { withTimeout } from '../async/abort.ts'
import { pause } from '../async/backoff.ts'
import { ConfigError } from '../errors.ts'
import { groupKeys, partitionKeys } from '../log/keys.ts'
import { readPartitionCount } from '../log/partition-count.ts'
import { disconnectRedis, type RedisClient } from '../redis/connect.ts'
import { databaseProblem } from '../redis/database.ts'
import { waitUntilReady } from '../redis/ready.ts'
import { loadScript, runScript } from '../redis/script.ts'
import { type Assignment, createAssignment } from './assignment.ts'
import { assignedPartitions, createMembership, type Membership } from './membership.ts'
import type { PartitionReader } from './partition-reader.ts'

export interface MemberOptions {
  /** Opens a connection; each is closed by whoever asked for it. */
  readonly connect: () => RedisClient
  readonly keyPrefix: string
  /** `undefined`: as many as the service says, also when it says more later. */
  readonly partitions?: number | undefined
  readonly group: string
  /** This member's name, for people: what the leases it holds begin with. Two may have the same. */
  readonly member: string
  /** Where a group that is new begins: with the oldest event there is (default), or with the next. */
  readonly from?: 'start' | 'now' | undefined
  /** How long a member may be out of touch with Redis before others take its partitions. */
  readonly leaseMs?: number | undefined
  /** How long `stop` waits for what is under way. */
  readonly stopTimeoutMs?: number | undefined
  /** Told of what went wrong and is tried again. */
  readonly onError?: ((error: unknown) => void) | undefined
}

const makeGroupScript = loadScript(new URL('create-group.lua', import.meta.url))

/** The members of a group share its partitions among them: see docs/consumers.md. */
export interface GroupMember {
  /** Resolves once the group exists in every partition and this member is known; until then it keeps trying. */
  start(): Promise<void>
  /** Finishes what is under way, gives the partitions back and closes the connections. Never rejects. */
  stop(): Promise<void>
}

const DEFAULT_LEASE_MS = 10_000
const DEFAULT_STOP_TIMEOUT_MS = 10_000
/** How often leases are renewed and the shares looked at, unless leases are short. */
const TURN_MS = 1000
/** How long the last acknowledgements may take when everything else is over. */
const LAST_WORDS_MS = 2000
/** A Redis that takes longer to connect to is trouble to be told of. */
const FIRST_CONTACT_MS = 2000

/**
 * Works the partitions that are this member's share, each as long as it holds the lease.
 *
 * @param work runs once for each time a partition is held; resolves when it is `ending` and nothing is under way,
 *   or at once when its `signal` is aborted
 */
export function joinGroup(
  options: MemberOptions,
  work: (held: PartitionReader) => Promise<void>
): GroupMember {
  const { connect, keyPrefix, group, member } = options
  const { leaseMs = DEFAULT_LEASE_MS, stopTimeoutMs = DEFAULT_STOP_TIMEOUT_MS } = options
  const turnMs = Math.min(TURN_MS, leaseMs / 4)
  const token = `${member}:${randomUUID()}`
  const keys = groupKeys(keyPrefix, group)
  const holds: Assignment[] = []
  const stopped = new AbortController()
  let partitions = options.partitions ?? 0
  let leaving = false
  let stopping: Promise<void> | undefined
  let running: { redis: RedisClient; membership: Membership; turns: Promise<void> } | undefined

  return {
    start: () =>
      new Promise((resolve, reject) => {
        if (running !== undefined || leaving) return reject(new Error('already started'))
        const redis = connect()
        // What happens to the connection shows in the calls made on it.
        redis.on('error', () => {})
        const membership = createMembership(redis, keys.members, token, leaseMs)
        running = { redis, membership, turns: turnUntilStopped(redis, membership, resolve) }
      }),
    stop: () => {
      stopping ??= stop()
      return stopping
    }
  }

  async function turnUntilStopped(
    redis: RedisClient,
    membership: Membership,
    started: () => void
  ): Promise<void> {
    let share: ReadonlySet<number> = new Set()
    await waitUntilReady(redis, FIRST_CONTACT_MS)
    while (!stopped.signal.aborted) {
      try {
        await discover(redis)
        if (!leaving) share = assignedPartitions(token, await membership.heartbeat(), holds.length)
        started()
      } catch (error) {
        // The share stays what it was: leases are renewed all the same, each where its partition is.
        const problem = await databaseProblem(redis)
        onError(problem === undefined ? error : new ConfigError(`the database of Redis: ${problem}`))
      }
      await Promise.all(holds.map((hold, partition) => hold.renew(!leaving && share.has(partition))))
      await pause(turnMs, stopped.signal)
    }
    started()
  }

  /** Learns how many partitions there are, and makes the group in those that are new. */
  async function discover(redis: RedisClient): Promise<void> {
    if (options.partitions === undefined) {
      partitions = Math.max(partitions, await readPartitionCount(redis, keyPrefix))
    }
    // A partition that comes later is new as a whole.
    const from = holds.length === 0 && options.from === 'now' ? '$' : '0'
    const missing = Array.from({ length: partitions - holds.length }, (_, index) => holds.length + index)
    const streams = missing.map(partition => partitionKeys(keyPrefix, partition).events)
    await Promise.all(streams.map(stream => runScript(redis, makeGroupScript, [stream], [group, from])))
    holds.push(...missing.map(partition => holdOf(redis, partition)))
  }

  function holdOf(redis: RedisClient, partition: number): Assignment {
    const stream = partitionKeys(keyPrefix, partition).events
    const leaseKey = keys.lease(partition)
    return createAssignment({
      redis,
      connect,
      leaseKey,
      putBackKey: keys.putBack(partition),
      leaseMs,
      token,
      stream,
      partition,
      group,
      work,
      onError
    })
  }

  async function stop(): Promise<void> {
    leaving = true
    if (running === undefined) return
    const { redis, membership, turns } = running
    const ended = Promise.all(holds.map(hold => hold.release()))
    // The others learn at once whose partitions they will be; the leases follow as they come free.
    await membership.leave().catch(onError)
    await withTimeout(stopTimeoutMs, ended)
    for (const hold of holds) hold.revoke()
    await withTimeout(LAST_WORDS_MS, ended)
    stopped.abort()
    for (const hold of holds) hold.close()
    await Promise.all([turns, ended])
    disconnectRedis(redis)
  }

  function onError(error: unknown): void {
    try {
      options.onError?.(error)
    } catch {
      // Who is told must not break what tells.
    }
  }
}
