import type { Contestant } from './contestants.ts'
import type { Load } from './load.ts'
import { type Measurement, startRunning } from './running.ts'

/**
 * One contestant's turn: a fresh process and a fresh Redis, a warm-up, the loads, and the judge over all of it.
 *
 * @throws when a delivery was refused, or the log does not hold exactly what was sent
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
    await running.judge()
    return measurements
  } finally {
    await running.stop()
  }
}
