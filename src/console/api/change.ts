// Tested by test/console/api.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import { disconnectRedis, type RedisClient } from '../../redis/connect.ts'
import { ActionError } from '../../tools/action-error.ts'
import type { ConsoleContext } from '../context.ts'
import { ApiError } from './api-error.ts'

/**
 * Makes a change, and an audit record of it. A change that failed is a record too, because a part of it may have
 * happened. One that was refused is not: it had no effect.
 *
 * @param target names and ids; a function of the result if what a client gave may be neither
 */
export async function change<T>(
  { audit }: Pick<ConsoleContext, 'audit'>,
  { person, ip }: FastifyRequest,
  action: string,
  target: string | ((result?: T) => string),
  work: () => Promise<T>
): Promise<T> {
  const record = (what: string): Promise<void> =>
    audit.record({
      who: person?.name ?? '-',
      role: person?.role,
      action,
      target: what,
      address: ip
    })
  const targetOf = typeof target === 'string' ? () => target : target
  let result: T
  try {
    result = await work()
  } catch (error) {
    if (!(error instanceof ActionError || error instanceof ApiError)) await record(`${targetOf()}, failed`)
    throw error
  }
  await record(targetOf(result))
  return result
}

/** Gives `work` a function that opens further connections, and closes them afterwards. */
export async function withConnections<T>(
  context: Pick<ConsoleContext, 'openBlocking'>,
  work: (openBlocking: () => RedisClient) => Promise<T>
): Promise<T> {
  const opened: RedisClient[] = []
  try {
    return await work(() => {
      const connection = context.openBlocking()
      connection.on('error', () => {}) // the command that fails reports it
      opened.push(connection)
      return connection
    })
  } finally {
    for (const connection of opened) disconnectRedis(connection)
  }
}
