import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { isCluster } from './is-cluster.ts'

/** Why Redis refused to select the database, by connection; forgotten once the connection is ready. */
const refusals = new WeakMap<Redis | Cluster, Error>()

/** How long the question after the number of databases may take. */
const ANSWER_TIMEOUT_MS = 1000

/**
 * Makes a connection ready only in the database it is meant for, and its copies as well.
 *
 * ioredis 6 reports a refused SELECT as an `error` event and goes on: each command then runs in database 0, after a
 * reconnect too. Here any failed command of the handshake drops the connection; ioredis connects again after its
 * usual delay. BullMQ and others copy connections with `duplicate`.
 */
export function keepDatabase(redis: Redis): Redis {
  redis.on('error', (error: unknown) => {
    // "connect": the handshake is running, and no other command has been sent.
    if (redis.status !== 'connect') return
    if (isRefusedSelect(error)) refusals.set(redis, error)
    redis.disconnect(true)
  })
  redis.on('ready', () => refusals.delete(redis))
  const duplicate = redis.duplicate.bind(redis)
  return Object.assign(redis, {
    duplicate: (override?: Partial<RedisOptions>) => keepDatabase(duplicate(override))
  })
}

/** A connection without a login is refused SELECT too, a server that is loading refuses everything. */
const isRefusedSelect = (error: unknown): error is Error =>
  error instanceof Error &&
  error.name === 'ReplyError' &&
  commandOf(error) === 'select' &&
  !/^(NOAUTH|LOADING|MASTERDOWN)\b/.test(error.message)

function commandOf(error: Error): unknown {
  const command = 'command' in error ? error.command : undefined
  return typeof command === 'object' && command !== null && 'name' in command ? command.name : undefined
}

/**
 * Why the connection can't get its database, for the operator; `undefined` while nothing speaks against it.
 *
 * Asks the server for the number of its databases, on a connection that does not select any.
 */
export async function databaseProblem(redis: Redis | Cluster): Promise<string | undefined> {
  const refusal = refusals.get(redis)
  if (refusal === undefined || isCluster(redis)) return undefined
  const { db = 0 } = redis.options
  const code = refusal.message.split(' ', 1)[0] ?? ''
  if (code === 'NOPERM') {
    return `Redis does not let this user select database ${db} (NOPERM): allow it the command SELECT, or use database 0`
  }
  const count = await databaseCount(redis)
  const there =
    count === undefined ? '' : `: it has ${count} database${count === 1 ? '' : 's'}, 0 to ${count - 1}`
  return `Redis refuses database ${db} (${refusal.message.slice(0, 100)})${there}`
}

/** The same for a new connection: waits until it is ready or refused, at most so long. */
export async function firstDatabaseProblem(
  redis: Redis | Cluster,
  atMostMs: number
): Promise<string | undefined> {
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, atMostMs)
    const done = (): void => {
      clearTimeout(timer)
      resolve()
    }
    redis.once('ready', done)
    redis.on('error', () => refusals.has(redis) && done())
  })
  return databaseProblem(redis)
}

async function databaseCount(redis: Redis): Promise<number | undefined> {
  const asking = redis.duplicate({
    db: 0,
    lazyConnect: true,
    retryStrategy: () => null,
    commandTimeout: ANSWER_TIMEOUT_MS,
    connectTimeout: ANSWER_TIMEOUT_MS
  })
  asking.on('error', () => {})
  try {
    await asking.connect()
    const [, count] = (await asking.config('GET', 'databases')) as string[]
    return count === undefined ? undefined : Number(count)
  } catch {
    return undefined // Some managed servers forbid CONFIG.
  } finally {
    asking.disconnect()
  }
}
