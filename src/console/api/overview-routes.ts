// Tested by test/console/api.slow.test.ts.
import type { FastifyInstance } from 'fastify'
import { readDeliveryStats } from '../../receive/delivery-stats.ts'
import { findRotations, readRotationStatus } from '../../tools/rotate/rotations.ts'
import type { StatusReport } from '../../tools/status/facts.ts'
import { ApiError } from '../api-error.ts'
import type { ConsoleContext } from '../context.ts'
import { auditQuery, deliveriesQuery } from './input.ts'
import { addRoute } from './route.ts'

const HOUR_MS = 60 * 60 * 1000

/** The state of the service: what `cio-webhook status` and `rotate status` show, and more of the statistics. */
export function overviewRoutes(app: FastifyInstance, context: ConsoleContext): void {
  const { redis, config, audit, now } = context
  const { keyPrefix } = config.log
  const sources = [...config.sources.keys()]
  /** Without what only a page shows; it is among the problems too. */
  const status = async (): Promise<StatusReport> => {
    const { outage: _, ...report } = await context.status()
    return report
  }

  addRoute(app, 'viewer', 'GET /status', {}, status)

  addRoute(app, 'viewer', 'GET /deliveries', { query: deliveriesQuery }, async ({ query }) => {
    const { to = now(), from = to - HOUR_MS } = query
    if (from > to) throw new ApiError('CIO_BAD_REQUEST', 'the query: from must not be after to.')
    const stats = await readDeliveryStats(redis, keyPrefix, { fromMs: from, toMs: to })
    return { ...stats, sources: Object.fromEntries(stats.sources) }
  })

  addRoute(app, 'viewer', 'GET /sources', {}, async () => {
    const { redis: state, sources: reports, replicas, publishedAddresses } = await status()
    if (state.state === 'down')
      throw new ApiError('CIO_UNAVAILABLE', `Redis does not answer: ${state.cause}.`, 2)
    const rotations = await readRotationStatus(findRotations(config, redis), sources)
    return { sources: reports, replicas, publishedAddresses, rotations }
  })

  addRoute(app, 'viewer', 'GET /audit', { query: auditQuery }, async ({ query: { count, before } }) => {
    const records = await audit.list(count, before)
    return { records, before: records.length < count ? undefined : records.at(-1)?.id }
  })
}
