/*
 * Terminology
 *
 * event           one reporting webhook of Customer.io, verified and sanitized, as a CloudEvent
 * source          the webhook that an event came through, configured at Customer.io
 * log             the Redis streams in which cio-webhook keeps the events
 * partition       one of these streams. All events of a customer are in the same partition, in order
 * entry           an event as an entry of its stream. Partition and entry id together are its position
 * consumer group  a name under which the log is read. Each group gets every event
 * member          one running consumer of a group. The members of a group share the partitions
 * lease           the right of one member to read one partition. It expires if the member does not renew it
 * pending entry   an entry that was delivered to the group, but not acknowledged
 * acknowledge     mark an entry as handled, so that the group does not get it again
 * attempt         one call of the handler with an event
 * dead letter     an event that was not handled after all attempts, kept in `cio:dead:<group>`
 */
import { hostname } from 'node:os'
import type { Cluster, Redis } from 'ioredis'
import type { Backoff } from '../async/backoff.ts'
import { createSemaphore } from '../async/semaphore.ts'
import { endOnSignals } from '../async/signals.ts'
import { ConfigError } from '../errors.ts'
import { misspeltTypes } from '../event-types.ts'
import type { ErrorContext } from '../group/entry-errors.ts'
import { compileEntryFilter } from '../group/entry-filter.ts'
import { createEventBudget } from '../group/event-budget.ts'
import { joinGroup } from '../group/member.ts'
import { processPartition } from '../group/partition-processor.ts'
import { withoutErrorEvents } from '../group/stream-waiter.ts'
import { connectRedis, disconnectRedis, duplicateConnection, type RedisClient } from '../redis/connect.ts'
import { firstDatabaseProblem } from '../redis/database.ts'
import { type Failures, followFailures } from '../redis/failure.ts'
import { Secret } from '../secret.ts'
import type { RedisAddress } from '../settings/redis-address.ts'
import { parseRedisUrl, REDIS_URL_FORM } from '../settings/redis-url.ts'
import { createErrorPrinter } from './error-printer.ts'
import type { Handler } from './handler.ts'
import { handling } from './handling.ts'
import { addressOfClient, rejectInvalidValues, rejectUnknownOptions } from './options.ts'

export type { Backoff } from '../async/backoff.ts'
export { ConfigError } from '../errors.ts'
export type { ErrorContext } from '../group/entry-errors.ts'
export { EntriesDeletedError, InterruptedError, MalformedEntryError } from '../group/entry-errors.ts'
export type {
  CustomerEvent,
  DocumentedEvent,
  DocumentedEvents,
  ObjectType,
  Payload,
  UndocumentedEvent
} from './events.ts'
export type { Handler, HandlerContext } from './handler.ts'

interface CommonOptions {
  /** The consumer group. All members with this name share the events. Letters, digits, `-` and `_`. */
  readonly group: string
  /** This member's name for people: the leases it holds start with it. Default: host name and process id. */
  readonly name?: string
  /** Globs over `<object_type>.<metric>`, such as `email.*`. Default: every event. */
  readonly types?: readonly string[]
  /** Whether events that `cio-webhook reconcile` appended are handled, which no delivery brought. Default true. */
  readonly backfilled?: boolean
  /** CIO_KEY_PREFIX of the service. Default `cio:`. */
  readonly prefix?: string
  /** Default: the number that the service has published. */
  readonly partitions?: number
  /** Where a new group starts: with the oldest event in the log (default), or with the next one. */
  readonly from?: 'start' | 'now'
  /** Attempts per event before it becomes a dead letter. Default 5. */
  readonly maxAttempts?: number
  /** Events in the handler at the same time, over all partitions. Default 10. */
  readonly concurrency?: number
  /** The pauses between attempts: from `firstMs` (500), twice as long each time, up to `maxMs` (30,000). */
  readonly backoff?: Backoff
  /** Whether the events that `cio-webhook doctor` sends are handled too. Default false. */
  readonly includeDoctorEvents?: boolean
  /**
   * Whether SIGTERM and SIGINT stop the consumer and then end the process, for a process that has nothing else to
   * close. Default false.
   */
  readonly signals?: boolean
  /** How long `stop` waits for handlers, in milliseconds. Default 10,000. */
  readonly stopTimeoutMs?: number
  /** After this time without contact to Redis, other members take a member's partitions. Default 10,000. */
  readonly leaseMs?: number
  /**
   * Called with every error. No error stops the consumer. What this function throws or rejects with is ignored. Without it,
   * standard error gets a line with name, code and cause, but no message: once per cause and minute, and per dead letter.
   *
   * With `about`, the error concerns one event. `about.dead` says whether it is a dead letter now or will be retried:
   * - what your handler rejected with;
   * - `InterruptedError`: attempts began and none finished; a dead letter;
   * - `MalformedEntryError`: the entry is not an event of this service; a dead letter, your handler never gets it.
   *
   * Without `about`, it concerns Redis or the log, and the operation is retried:
   * - `EntriesDeletedError`: entries were deleted before this group acknowledged them;
   * - `ConfigError`: Redis refuses the database of the URL;
   * - errors of ioredis, unchanged: `ReplyError` (an error reply of Redis), a command that timed out, a connection that
   *   is down. Log only their `name` and `message`: a `ReplyError` has the arguments of its `command`, which can be
   *   whole events.
   */
  readonly onError?: (error: unknown, about?: ErrorContext) => void
}

export type ConsumerOptions = CommonOptions &
  (
    | { /** `redis://` or `rediss://` */ readonly redisUrl: string; readonly redis?: never }
    | {
        /** A client of ioredis 6, also for Sentinel or Cluster. It is duplicated; the original stays yours. */
        readonly redis: Redis | Cluster
        readonly redisUrl?: never
      }
  )

export interface Consumer {
  /**
   * Resolves once the group exists and this member has joined. Waits while Redis is down. Rejects with a `ConfigError`
   * if Redis refuses the database of the URL; nothing is read or written in another one.
   */
  start(): Promise<void>
  /** Waits for running handlers, and closes the connections. Never rejects. */
  stop(): Promise<void>
}

const GROUP = /^[a-z0-9][a-z0-9_-]{0,63}$/i
const DEFAULT_CONCURRENCY = 10
const DEFAULT_MAX_ATTEMPTS = 5
const DEFAULT_BACKOFF: Backoff = { firstMs: 500, maxMs: 30_000 }
/** Read-ahead per concurrency slot and partition, so that the retries of one customer do not block the others. */
const IN_FLIGHT_PER_SLOT = 20
const MIN_IN_FLIGHT = 500
/** How long `start` waits for Redis to accept or refuse the database. */
const CONNECT_TIMEOUT_MS = 2000

/**
 * Reads the event log as a member of a consumer group, and passes each event to `handler` at least once.
 *
 * The events of one customer come in order, one at a time. An event is acknowledged when its handler resolves. If it
 * rejects, the event is retried, and that customer's later events wait. After `maxAttempts` the event becomes a dead
 * letter in `cio:dead:<group>`.
 *
 * @throws TypeError for invalid options
 */
export function createConsumer(options: ConsumerOptions, handler: Handler): Consumer {
  rejectUnknownOptions(options)
  rejectInvalidValues(options)
  if (typeof handler !== 'function') throw new TypeError('the second argument is the handler, a function')
  for (const message of misspeltTypes(options.types)) process.emitWarning(message)
  const { group, prefix = 'cio:', name = `${hostname()}:${process.pid}`, signals = false } = options
  const concurrency = positive('concurrency', options.concurrency ?? DEFAULT_CONCURRENCY)
  const maxAttempts = positive('maxAttempts', options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS)
  if (options.partitions !== undefined) positive('partitions', options.partitions)
  if (typeof group !== 'string' || !GROUP.test(group))
    throw new TypeError('group: 1 to 64 letters, digits, - and _')
  const { connect, database, address } = connector(options)
  let failures: Failures | undefined
  const processing = {
    ...handling(handler, group, maxAttempts, options.backoff ?? DEFAULT_BACKOFF),
    keyPrefix: prefix,
    group,
    isWanted: compileEntryFilter(options),
    semaphore: createSemaphore(concurrency),
    maxInFlight: Math.max(MIN_IN_FLIGHT, concurrency * IN_FLIGHT_PER_SLOT),
    budget: createEventBudget(Number.POSITIVE_INFINITY),
    minInFlight: () => concurrency,
    onError
  }
  const member = joinGroup(
    {
      ...options,
      connect: connectAndFollow,
      keyPrefix: prefix,
      member: name,
      onError: error => onError(error)
    },
    reader => processPartition(processing, reader)
  )
  const onErrorOption = options.onError ?? createErrorPrinter(group, () => failures)
  let stopped: Promise<void> | undefined
  let ignoreSignals = (): void => {}

  return {
    start: async () => {
      if (signals) ignoreSignals = endOnSignals(stop)
      try {
        if (database !== 0) await checkDatabase(connect)
      } catch (error) {
        ignoreSignals()
        throw error
      }
      if (stopped === undefined) await member.start()
    },
    stop
  }

  /** The first connection is the one that lasts. */
  function connectAndFollow(): RedisClient {
    const redis = connect()
    failures ??= followFailures(redis, address)
    return redis
  }

  function stop(): Promise<void> {
    stopped ??= member.stop().finally(ignoreSignals)
    return stopped
  }

  function onError(error: unknown, about?: ErrorContext): void {
    // An error in the user's callback must not break the loop, nor may the rejection of an async one end the process.
    const report = async (): Promise<void> => onErrorOption(error, about)
    report().catch(() => {})
  }
}

/** @throws TypeError unless exactly one of `redisUrl` and `redis` is given, and valid. The message never contains the URL */
function connector({ redisUrl, redis }: ConsumerOptions): {
  readonly connect: () => RedisClient
  readonly database: number
  readonly address: RedisAddress
} {
  if ((redisUrl === undefined) === (redis === undefined)) throw new TypeError('give either redisUrl or redis')
  if (redis !== undefined) {
    return {
      connect: () => duplicateConnection(redis),
      database: ('db' in redis.options && redis.options.db) || 0,
      address: addressOfClient(redis)
    }
  }
  const parsed = parseRedisUrl(redisUrl)
  if ('problem' in parsed) throw new TypeError(`redisUrl: ${parsed.problem}; give ${REDIS_URL_FORM}`)
  const address = { kind: 'standalone', url: new Secret(redisUrl) } as const
  return { connect: () => connectRedis(address), database: parsed.database, address }
}

/** @throws ConfigError if Redis refuses the database of the URL. If Redis does not answer, `start` waits for it later. */
async function checkDatabase(connect: () => RedisClient): Promise<void> {
  const redis = withoutErrorEvents(connect())
  try {
    const problem = await firstDatabaseProblem(redis, CONNECT_TIMEOUT_MS)
    if (problem !== undefined) throw new ConfigError(`redisUrl: ${problem}`)
  } finally {
    disconnectRedis(redis)
  }
}

function positive(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) throw new TypeError(`${name}: a whole number, at least 1`)
  return value
}
