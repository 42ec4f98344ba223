// Tested by test/console/pages/consumers.slow.test.ts.
import type { FastifyInstance } from 'fastify'
import { disconnectRedis, type RedisClient } from '../../../redis/connect.ts'
import { consumerActions } from '../../../tools/consumers/actions.ts'
import type { ConsoleContext } from '../../context.ts'

export type ConsumerActions = ReturnType<typeof consumerActions>

/** The actions of the command line. Their connection for BullMQ is opened once, when an action needs it. */
export function openActions(app: FastifyInstance, context: ConsoleContext): ConsumerActions {
  let blocking: RedisClient | undefined
  app.addHook('onClose', async () => {
    if (blocking !== undefined) disconnectRedis(blocking)
  })
  return consumerActions({ config: context.config, redis: context.redis, openBlocking }, context.now)

  function openBlocking(): RedisClient {
    if (blocking === undefined) {
      blocking = context.openBlocking()
      blocking.on('error', () => {}) // the command that fails reports it
    }
    return blocking
  }
}
