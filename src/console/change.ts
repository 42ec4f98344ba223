// Tested by test/console/api.slow.test.ts and test/console/pages/consumers.slow.test.ts.
import type { FastifyRequest } from 'fastify'
import { ActionError } from '../tools/action-error.ts'
import { ApiError } from './api-error.ts'
import { recordChange } from './audit.ts'
import type { ConsoleContext } from './context.ts'

/**
 * Makes a change, and an audit record of it. A change that failed is a record too, because a part of it may have
 * happened. One that was refused is not: it had no effect.
 *
 * @param target names and ids; a function of the result if what a client gave may be neither
 */
export async function change<T>(
  { audit }: Pick<ConsoleContext, 'audit'>,
  request: FastifyRequest,
  action: string,
  target: string | ((result?: T) => string),
  work: () => Promise<T>
): Promise<T> {
  const targetOf = typeof target === 'string' ? () => target : target
  let result: T
  try {
    result = await work()
  } catch (error) {
    if (!(error instanceof ActionError || error instanceof ApiError))
      await recordChange(audit, request, action, `${targetOf()}, failed`)
    throw error
  }
  await recordChange(audit, request, action, targetOf(result))
  return result
}
