import type { Contestant } from './contestants.ts'
import type { Load } from './load.ts'
import { type Measurement, startRunning } from './running.ts'

/**
 * One turn of a contestant: a fresh process and a fresh Redis, a warm-up, the loads, and a check of its log.
 *
 * @throws if a delivery was refused, or the log does not hold exactly the events sent
 */
export async function takeTurn(
  contestant: Contestant,
  warmUp: Load,
  loads: readonly Load[]
): Promise<Measurement[]> {
  const running = await startRunning(contestant)
  try {
    await running.measure(warmUp)
    const measurements: Measurement[] = []
    for (const load of loads) measurements.push(await running.measure(load))
    await running.verify()
    return measurements
  } finally {
    await running.stop()
  }
}
