import { hostname } from 'node:os'
import type { Cluster, Redis } from 'ioredis'
import type { Backoff } from '../async/backoff.ts'
import { createSemaphore } from '../async/semaphore.ts'
import { endOnSignals } from '../async/signals.ts'
import { ConfigError } from '../errors.ts'
import { compileTypeGlobs, DOCTOR_TYPE, type TypeMatcher } from '../event-types.ts'
import { joinGroup } from '../group/member.ts'
import { groupKeys } from '../log/keys.ts'
import { connectRedis, disconnectRedis, duplicateConnection, type RedisClient } from '../redis/connect.ts'
import { firstDatabaseProblem } from '../redis/database.ts'
import { Secret } from '../secret.ts'
import { parseRedisUrl, REDIS_URL_FORM } from '../settings/redis-url.ts'
import type { ErrorContext, Handler } from './handler.ts'
import { processPartition } from './partition-processor.ts'

export type { Backoff } from '../async/backoff.ts'
export { ConfigError } from '../errors.ts'
export { EntriesDeletedError, InterruptedError, MalformedEntryError } from '../group/entry-errors.ts'
export type {
  CustomerEvent,
  DocumentedEvent,
  DocumentedEvents,
  ObjectType,
  Payload,
  UndocumentedEvent
} from './events.ts'
export type { ErrorContext, Handler, HandlerContext } from './handler.ts'

interface CommonOptions {
  /** The consumer group: all members with this name share the events. Letters, digits, `-` and `_`. */
  readonly group: string
  /** This member's name, for people: what the leases it holds begin with. By default host and process id. */
  readonly name?: string
  /** Globs over `<object_type>.<metric>`, such as `email.*`; without them every event. */
  readonly types?: readonly string[]
  /** What the service has as CIO_KEY_PREFIX. */
  readonly prefix?: string
  /** By default what the service says. */
  readonly partitions?: number
  /** Where a group that is new begins: with the oldest event in the log (default), or with the next one. */
  readonly from?: 'start' | 'now'
  /** Attempts at an event before it becomes a dead letter. Default 5. */
  readonly maxAttempts?: number
  /** Events that are with the handler at once. Default 10. */
  readonly concurrency?: number
  /** The waits between attempts: from `firstMs` (500), twice as long each time, up to `maxMs` (30,000). */
  readonly backoff?: Backoff
  /** Also what `cio-webhook doctor` sends through the receiver. Default false. */
  readonly doctorEvents?: boolean
  /**
   * SIGTERM and SIGINT stop the consumer, and then end the process: for one that has nothing else to close. Default
   * false.
   */
  readonly signals?: boolean
  /** How long `stop` waits for handlers. Default 10,000. */
  readonly stopTimeoutMs?: number
  /** How long a member may be out of touch before others take over. Default 10,000. */
  readonly leaseMs?: number
  /**
   * Called with every error. None of them stops the consumer, and an error thrown in here is ignored. Without it,
   * each error is one line on standard error, without its message.
   *
   * With `about`, the error concerns one event; `about.dead` says whether it is a dead letter now or is tried again:
   * - what your handler rejected with;
   * - `InterruptedError`: every attempt began and none finished; a dead letter;
   * - `MalformedEntryError`: the entry is not an event of this service; a dead letter, your handler never sees it.
   *
   * Without `about`, it concerns Redis or the log, and what failed is tried again:
   * - `EntriesDeletedError`: somebody deleted entries that this group had still to get;
   * - `ConfigError`: Redis refuses the database that was asked for;
   * - the errors of ioredis, as they are: its `ReplyError` (an error reply of Redis), a command that timed out, a
   *   connection that is down. Log their `name` and `message` only: a `ReplyError` has the arguments of its
   *   `command`, which can be whole events.
   */
  readonly onError?: (error: unknown, about?: ErrorContext) => void
}

export type ConsumerOptions = CommonOptions &
  (
    | { /** `redis://` or `rediss://` */ readonly redisUrl: string; readonly redis?: never }
    | {
        /** A client of ioredis 6, also one for Sentinel or Cluster. It is copied, and stays the caller's. */
        readonly redis: Redis | Cluster
        readonly redisUrl?: never
      }
  )

export interface Consumer {
  /**
   * Resolves once the group exists and this member is known to it; while Redis is away, it waits. Rejects with a
   * `ConfigError` when Redis refuses the database that was asked for: nothing is read or written in another one.
   */
  start(): Promise<void>
  /** Waits for the handlers that are running, and closes what was opened. Never rejects. */
  stop(): Promise<void>
}

const GROUP = /^[a-z0-9][a-z0-9_-]{0,63}$/i
const DEFAULT_CONCURRENCY = 10
const DEFAULT_MAX_ATTEMPTS = 5
const DEFAULT_BACKOFF: Backoff = { firstMs: 500, maxMs: 30_000 }
/** So many entries a partition may be ahead of those that are with the handler, so that one person's retries stop nobody else. */
const IN_FLIGHT_PER_SLOT = 20
const MIN_IN_FLIGHT = 500
/** How long the start waits for Redis to say whether the database is there. */
const FIRST_CONTACT_MS = 2000

/**
 * Reads the event log as one member of a consumer group, and hands each event to `handler` at least once.
 *
 * One person's events come in order, one at a time. An event is acknowledged when its handler resolves. When it
 * rejects, it is tried again, and that person's later events wait; after `maxAttempts` the event goes to
 * `cio:dead:<group>`.
 *
 * @throws TypeError for options that can't be meant
 */
export function createConsumer(options: ConsumerOptions, handler: Handler): Consumer {
  const { group, prefix = 'cio:', name = `${hostname()}:${process.pid}`, signals = false } = options
  const concurrency = positive('concurrency', options.concurrency ?? DEFAULT_CONCURRENCY)
  const maxAttempts = positive('maxAttempts', options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS)
  if (options.partitions !== undefined) positive('partitions', options.partitions)
  if (!GROUP.test(group)) throw new TypeError('group: 1 to 64 letters, digits, - and _')
  const { connect, database } = connector(options)
  const isWanted = wanted(options)
  const slots = createSemaphore(concurrency)
  let stopped: Promise<void> | undefined
  let ignoreSignals = (): void => {}

  const onError = (error: unknown, about?: ErrorContext): void => {
    try {
      if (options.onError === undefined) complain(group, error, about)
      else options.onError(error, about)
    } catch {
      // Who is told must not break what tells.
    }
  }
  const holder = joinGroup(
    { ...options, connect, keyPrefix: prefix, member: name, onError: error => onError(error) },
    held =>
      processPartition(
        {
          handler,
          isWanted,
          maxAttempts,
          backoff: options.backoff ?? DEFAULT_BACKOFF,
          slots,
          maxInFlight: Math.max(MIN_IN_FLIGHT, concurrency * IN_FLIGHT_PER_SLOT),
          deadLetters: groupKeys(prefix, group).dead,
          onError
        },
        held
      )
  )

  return {
    start: async () => {
      if (signals) ignoreSignals = endOnSignals(stop)
      try {
        if (database !== 0) await checkDatabase(connect)
      } catch (error) {
        ignoreSignals()
        throw error
      }
      if (stopped === undefined) await holder.start()
    },
    stop
  }

  function stop(): Promise<void> {
    stopped ??= holder.stop().finally(ignoreSignals)
    return stopped
  }
}

/** @throws TypeError unless exactly one of `redisUrl` and `redis` is given, and usable; a URL is not repeated */
function connector({ redisUrl, redis }: ConsumerOptions): {
  readonly connect: () => RedisClient
  readonly database: number
} {
  if ((redisUrl === undefined) === (redis === undefined)) throw new TypeError('give either redisUrl or redis')
  if (redis !== undefined) {
    return {
      connect: () => duplicateConnection(redis),
      database: ('db' in redis.options && redis.options.db) || 0
    }
  }
  const parsed = parseRedisUrl(redisUrl)
  if ('problem' in parsed) throw new TypeError(`redisUrl: ${parsed.problem}; give ${REDIS_URL_FORM}`)
  const url = new Secret(redisUrl)
  return { connect: () => connectRedis({ kind: 'standalone', url }), database: parsed.database }
}

/**
 * @throws ConfigError when Redis refuses the database of the URL; a Redis that does not answer is waited for later
 */
async function checkDatabase(connect: () => RedisClient): Promise<void> {
  const redis = connect()
  redis.on('error', () => {})
  try {
    const problem = await firstDatabaseProblem(redis, FIRST_CONTACT_MS)
    if (problem !== undefined) throw new ConfigError(`redisUrl: ${problem}`)
  } finally {
    disconnectRedis(redis)
  }
}

function wanted({ types, doctorEvents = false }: ConsumerOptions): TypeMatcher {
  const matches = compileTypeGlobs(types)
  return type => (type === DOCTOR_TYPE ? doctorEvents : matches(type))
}

function positive(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) throw new TypeError(`${name}: a whole number, at least 1`)
  return value
}

/** For who gave no `onError`: that something is wrong, and nothing that could be personal. */
function complain(group: string, error: unknown, about: ErrorContext | undefined): void {
  const name =
    error instanceof ConfigError ? error.message : error instanceof Error ? error.name : typeof error
  const what =
    about === undefined
      ? 'redis or the log'
      : `${about.type} ${about.entryId}, attempt ${about.attempt}${about.dead ? ', now a dead letter' : ''}`
  console.error(`cio-webhook consumer ${group}: ${name}: ${what}`)
}
