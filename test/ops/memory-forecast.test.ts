import t from 'tap'
import { createMemoryForecast } from '../../src/ops/memory-forecast.ts'

const MINUTE_MS = 60_000

/** @param ratios one a minute */
function fullInMinutes(ratios: readonly number[]): number | undefined {
  const forecast = createMemoryForecast()
  for (const [minute, ratio] of ratios.entries()) forecast.add(ratio, minute * MINUTE_MS)
  const ms = forecast.fullInMs()
  return ms === undefined ? undefined : Math.round(ms / MINUTE_MS)
}

t.test('the time until memory is full follows from the growth of the last ten minutes', async t => {
  const rows: readonly (readonly [string, readonly number[], number | undefined])[] = [
    ['nothing is known', [], undefined],
    ['one reading', [0.5], undefined],
    ['steady growth', [0.5, 0.6, 0.7], 3],
    ['no growth', [0.8, 0.8, 0.8], undefined],
    ['falling usage', [0.83, 0.82, 0.81], undefined],
    ['growth since memory was freed', [0.6, 0.8, 0.7, 0.75], 5],
    ['old samples do not count', [0, 0.5, ...Array.from({ length: 11 }, (_, n) => 0.5 + n / 100)], 40],
    ['it is full', [0.9, 1], 0]
  ]
  for (const [name, ratios, minutes] of rows) t.equal(fullInMinutes(ratios), minutes, name)
})
