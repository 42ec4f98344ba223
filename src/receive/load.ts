import underPressure from '@fastify/under-pressure'
import type { FastifyInstance } from 'fastify'

/** A sample's mean delay of the event loop from which new deliveries are turned away, so that old ones are in time. */
const OVERLOADED_LOOP_DELAY_MS = 2000

/**
 * The plugin's own hook looks up the route of each request, which costs more than all the rest of it. So it is
 * registered in a context without routes, and called directly.
 *
 * @returns is the event loop too far behind to answer new deliveries in time?
 */
export async function watchLoad(app: FastifyInstance): Promise<() => boolean> {
  let isOverloaded = () => false
  await app.register(async encapsulated => {
    await encapsulated.register(underPressure, { maxEventLoopDelay: OVERLOADED_LOOP_DELAY_MS })
    isOverloaded = () => encapsulated.isUnderPressure()
  })
  return () => isOverloaded()
}
