import { type Cluster, Redis } from 'ioredis'
import { isCluster } from './is-cluster.ts'

/** Why Redis refused to select the database, by connection. Removed when the connection is ready. */
const refusals = new WeakMap<Redis | Cluster, Error>()

/** Timeout for reading the number of databases. */
const ANSWER_TIMEOUT_MS = 1000

/**
 * Makes sure that a connection becomes ready in its own database only.
 *
 * ioredis 6 reports a refused SELECT as an `error` event and continues: all commands then run in database 0, after a
 * reconnect too. Here any failed command of the handshake closes the connection, and ioredis reconnects after its usual
 * delay.
 */
export function keepDatabase(redis: Redis): void {
  redis.on('error', (error: unknown) => {
    // "connect": the handshake is running, and no other command was sent.
    if (redis.status !== 'connect') return
    if (isRefusedSelect(error)) refusals.set(redis, error)
    redis.disconnect(true)
  })
  redis.on('ready', () => refusals.delete(redis))
}

/** SELECT is also refused without a login, and by a server that is loading its data: these are not reasons to give up. */
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
 * Why the connection cannot use its database, as a message for the operator, with the number of databases of the server.
 *
 * @returns `undefined` if SELECT was not refused
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
  const available =
    count === undefined ? '' : `: it has ${count} database${count === 1 ? '' : 's'}, 0 to ${count - 1}`
  return `Redis refuses database ${db} (${refusal.message.slice(0, 100)})${available}`
}

/** The same for a new connection: waits until it is ready or refused, for at most `timeoutMs`. */
export async function firstDatabaseProblem(
  redis: Redis | Cluster,
  timeoutMs: number
): Promise<string | undefined> {
  await new Promise<void>(resolve => {
    const timer = setTimeout(resolve, timeoutMs)
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
  // Selects no database of its own.
  const connection = new Redis({
    ...redis.options,
    replyMapping: 'legacy',
    db: 0,
    lazyConnect: true,
    retryStrategy: () => null,
    commandTimeout: ANSWER_TIMEOUT_MS,
    connectTimeout: ANSWER_TIMEOUT_MS
  })
  connection.on('error', () => {})
  try {
    await connection.connect()
    const [, count] = (await connection.config('GET', 'databases')) as string[]
    return count === undefined ? undefined : Number(count)
  } catch {
    return undefined // some managed servers forbid CONFIG
  } finally {
    connection.disconnect()
  }
}
