// Tested by test/group/batch-consumer.test.ts.
import { randomUUID } from 'node:crypto'
import { raceAbort, withTimeout } from '../async/abort.ts'
import { pause } from '../async/backoff.ts'
import { ConfigError } from '../errors.ts'
import { groupKeys, partitionKeys } from '../log/keys.ts'
import { readPartitionCount } from '../log/partition.ts'
import { disconnectRedis, type RedisClient } from '../redis/connect.ts'
import { databaseProblem } from '../redis/database.ts'
import { waitUntilReady } from '../redis/ready.ts'
import { loadScript, runScript } from '../redis/script.ts'
import { type Assignment, createAssignment } from './assignment.ts'
import { assignedPartitions, createMembership, type Membership } from './membership.ts'
import type { PartitionReader } from './partition-reader.ts'
import { withoutErrorEvents } from './stream-waiter.ts'

export interface MemberOptions {
  /** Opens a connection. Each connection is closed by its user. */
  readonly connect: () => RedisClient
  readonly keyPrefix: string
  /** `undefined`: the number that the service has published, also when it grows. */
  readonly partitions?: number | undefined
  readonly group: string
  /** This member's name for people: the leases it holds start with it. Need not be unique. */
  readonly member: string
  /** Where a new group starts: with the oldest event (default), or with the next. */
  readonly from?: 'start' | 'now' | undefined
  /** After this time without contact to Redis, other members take the partitions. */
  readonly leaseMs?: number | undefined
  /** How long `stop` waits for work in flight. */
  readonly stopTimeoutMs?: number | undefined
  /** Aborted when `stop` must no longer wait for work in flight. */
  readonly stopNow?: AbortSignal | undefined
  /** Called with each error. What failed is tried again. */
  readonly onError?: ((error: unknown) => void) | undefined
}

/** A member of a consumer group. The members of a group share its partitions: see docs/consumers.md. */
export interface GroupMember {
  /** Resolves once the group exists in every partition and this member has joined. Until then it keeps trying. */
  start(): Promise<void>
  /** Finishes the work in flight, releases the partitions and closes the connections. Never rejects. */
  stop(): Promise<void>
}

const DEFAULT_LEASE_MS = 10_000
const DEFAULT_STOP_TIMEOUT_MS = 10_000
/** How often leases and membership are renewed, unless leases are short. */
const RENEW_INTERVAL_MS = 1000
/** How long the last acknowledgements may take after all work has ended. */
const FINAL_ACK_TIMEOUT_MS = 2000
/** If the connection takes longer, the first command fails and its error is reported. */
const CONNECT_TIMEOUT_MS = 2000

const createGroupScript = loadScript(new URL('create-group.lua', import.meta.url))

/**
 * Processes the partitions that are assigned to this member, each as long as it holds the lease.
 *
 * @param work runs once each time a partition is held. It resolves when the reader is `draining` and nothing is in
 *   flight, or at once when the reader is `revoked`
 */
export function joinGroup(
  options: MemberOptions,
  work: (reader: PartitionReader) => Promise<void>
): GroupMember {
  const { connect, keyPrefix, group, member } = options
  const { leaseMs = DEFAULT_LEASE_MS, stopTimeoutMs = DEFAULT_STOP_TIMEOUT_MS } = options
  const renewIntervalMs = Math.min(RENEW_INTERVAL_MS, leaseMs / 4)
  const token = `${member}:${randomUUID()}`
  const keys = groupKeys(keyPrefix, group)
  const streamOf = (partition: number): string => partitionKeys(keyPrefix, partition).events
  const assignments: Assignment[] = []
  const stopped = new AbortController()
  let partitions = options.partitions ?? 0
  let leaving = false
  let stopping: Promise<void> | undefined
  let running: { redis: RedisClient; membership: Membership; renewals: Promise<void> } | undefined

  return {
    start: () =>
      new Promise((resolve, reject) => {
        if (running !== undefined || leaving) return reject(new Error('already started'))
        const redis = withoutErrorEvents(connect())
        const membership = createMembership(redis, keys.members, token, leaseMs)
        running = { redis, membership, renewals: renewUntilStopped(redis, membership, resolve) }
      }),
    stop: () => {
      stopping ??= stop()
      return stopping
    }
  }

  async function renewUntilStopped(
    redis: RedisClient,
    membership: Membership,
    onJoined: () => void
  ): Promise<void> {
    let assigned: ReadonlySet<number> = new Set()
    await waitUntilReady(redis, CONNECT_TIMEOUT_MS)
    while (!stopped.signal.aborted) {
      try {
        await addNewPartitions(redis)
        if (!leaving) assigned = assignedPartitions(token, await membership.heartbeat(), assignments.length)
        onJoined()
      } catch (error) {
        // Leases are renewed anyway, because each is on the server of its partition.
        const problem = await databaseProblem(redis)
        onError(problem === undefined ? error : new ConfigError(`the database of Redis: ${problem}`))
      }
      await Promise.all(
        assignments.map((assignment, partition) => assignment.renew(!leaving && assigned.has(partition)))
      )
      await pause(renewIntervalMs, stopped.signal)
    }
    onJoined()
  }

  /** Reads the number of partitions, and creates the group in new ones. */
  async function addNewPartitions(redis: RedisClient): Promise<void> {
    if (options.partitions === undefined) {
      partitions = Math.max(partitions, await readPartitionCount(redis, keyPrefix))
    }
    const missing = Array.from(
      { length: partitions - assignments.length },
      (_, index) => assignments.length + index
    )
    // In a partition that is added later, every event is newer than the start of the group.
    const from = options.from === 'now' && missing.includes(0) && !(await groupExists(redis)) ? '$' : '0'
    const create = async (partition: number): Promise<void> => {
      await runScript(redis, createGroupScript, [streamOf(partition)], [group, from])
    }
    await Promise.all(missing.filter(partition => partition > 0).map(create))
    // The last one: see `groupExists`.
    if (missing.includes(0)) await create(0)
    assignments.push(...missing.map(partition => assignmentOf(redis, partition)))
  }

  /** Whether the group is older than this member. It is created in partition 0 after all others. */
  async function groupExists(redis: RedisClient): Promise<boolean> {
    try {
      // Not XINFO GROUPS: users of Redis for one consumer may not run it (docs/deploy.md).
      await redis.xpending(streamOf(0), group)
      return true
    } catch (error) {
      // Redis also replies this without a stream: nothing was received yet.
      if (error instanceof Error && error.message.startsWith('NOGROUP')) return false
      throw error
    }
  }

  function assignmentOf(redis: RedisClient, partition: number): Assignment {
    return createAssignment({
      redis,
      connect,
      leaseKey: keys.lease(partition),
      redeliverKey: keys.redeliver(partition),
      leaseMs,
      token,
      stream: streamOf(partition),
      partition,
      group,
      work,
      onError
    })
  }

  async function stop(): Promise<void> {
    leaving = true
    if (running === undefined) return
    const { redis, membership, renewals } = running
    const released = Promise.all(assignments.map(assignment => assignment.release()))
    // Other members learn their new partitions at once, and acquire each lease when it is released.
    await membership.leave().catch(onError)
    const { stopNow } = options
    await withTimeout(stopTimeoutMs, stopNow === undefined ? released : raceAbort(stopNow, released))
    for (const assignment of assignments) assignment.revoke()
    await withTimeout(FINAL_ACK_TIMEOUT_MS, released)
    stopped.abort()
    for (const assignment of assignments) assignment.close()
    await Promise.all([renewals, released])
    disconnectRedis(redis)
  }

  function onError(error: unknown): void {
    try {
      options.onError?.(error)
    } catch {
      // An error in the callback must not break the loop.
    }
  }
}
