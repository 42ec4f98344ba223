// Tested by test/console/pages/consumers.slow.test.ts.
import type { ConsolePage } from '../../context.ts'
import { openBulkActions } from '../bulk/open-bulk-actions.ts'
import { consumerRoutes } from './consumer-page.ts'
import { deadLetterRoutes } from './letters-page.ts'
import { consumerListRoute } from './list-page.ts'
import { openActions } from './open-actions.ts'

/** The pages of consumers and their dead letters. */
export const consumerPages: ConsolePage = (app, context) => {
  const actions = openActions(app, context)
  const bulk = openBulkActions(app, context)
  consumerListRoute(app, context, actions)
  consumerRoutes(app, context, actions, bulk)
  deadLetterRoutes(app, context, actions, bulk)
}
