import t from 'tap'
import { backoffMs, pause } from '../../src/async/backoff.ts'

/** The defaults of an HTTP consumer. */
const push = { firstMs: 10_000, maxMs: 21_600_000 }
const waits = (backoff: typeof push, failures: number, options: Parameters<typeof backoffMs>[2]): number[] =>
  Array.from({ length: failures }, (_, index) => backoffMs(backoff, index + 1, { random: 0.5, ...options }))

t.test('each wait is twice as long as the one before, up to the longest', async t => {
  t.same(waits({ firstMs: 100, maxMs: 1000 }, 6, {}), [100, 200, 400, 800, 1000, 1000])
  t.equal(backoffMs(push, 1e6, { random: 0.5 }), 21_600_000, 'however many failures')
})

t.test('twelve attempts of an HTTP consumer take about a day', async t => {
  const pauses = waits(push, 11, { factor: 3 })
  t.same(
    pauses,
    [
      10_000, 30_000, 90_000, 270_000, 810_000, 2_430_000, 7_290_000, 21_600_000, 21_600_000, 21_600_000,
      21_600_000
    ]
  )
  const hours = pauses.reduce((sum, pause) => sum + pause, 0) / 3_600_000
  t.ok(hours > 24 && hours < 30, `${hours} h`)
})

t.test('a wait is up to a fifth shorter or longer', async t => {
  t.same(
    [0, 1].map(random => backoffMs(push, 1, { random })),
    [8000, 12_000]
  )
})

for (const [retryAfterMs, waitMs] of [
  [undefined, 10_000],
  [5000, 10_000],
  [60_000, 60_000],
  [999_999_999, 21_600_000]
] as const) {
  t.test(`retry-after of ${retryAfterMs} ms makes a wait of ${waitMs} ms`, async t => {
    t.equal(backoffMs(push, 1, { retryAfterMs, random: 0.5 }), waitMs)
  })
}

t.test('a pause ends when the signal is aborted', async t => {
  const controller = new AbortController()
  const paused = pause(60_000, controller.signal)
  controller.abort()
  await paused
  await pause(60_000, controller.signal)
  t.pass()
})
