// Tested by test/console/pages/consumers-browser.slow.test.ts.
import type { FastifyInstance } from 'fastify'
import { type BulkActions, createBulkActions } from '../../../tools/bulk/bulk-actions.ts'
import type { ConsoleContext } from '../../context.ts'

/** Replays and drops that go on after the answer to the request. When the service stops, they are interrupted. */
export function openBulkActions(
  app: FastifyInstance,
  { redis, config, log, now }: Pick<ConsoleContext, 'redis' | 'config' | 'log' | 'now'>
): BulkActions {
  const bulk = createBulkActions({
    redis,
    keyPrefix: config.log.keyPrefix,
    now,
    onUnwritten: error => log.debug({ err: error }, 'console: the progress of a bulk action was not written'),
    onFailed: (error, { key }, action) =>
      log.error({ err: error, action, target: key }, 'console: a bulk action failed')
  })
  app.addHook('preClose', bulk.close)
  return bulk
}
