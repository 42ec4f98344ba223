import t from 'tap'
import {
  type ConcurrencyLimit,
  createAdaptiveLimit,
  createFixedLimit
} from '../../../src/dispatch/http/concurrency-limit.ts'
import { seededRandom } from '../../helpers/random.ts'

/** A receiver that handles so many requests at once in so many milliseconds; further ones wait. */
function answer(limit: ConcurrencyLimit, requests: number, capacity: number, latencyMs: number): void {
  for (let request = 0; request < requests; request++) {
    const inFlight = limit.current
    limit.delivered(latencyMs * Math.max(1, inFlight / capacity), inFlight)
  }
}

t.test('the limit grows while latency holds, up to a hundred', t => {
  const limit = createAdaptiveLimit()
  t.equal(limit.current, 4)
  answer(limit, 200, 1000, 50)
  t.ok(limit.current > 15, `${limit.current}`)
  answer(limit, 20_000, 1000, 50)
  t.ok(limit.current === 100 || limit.current === 50, `${limit.current}`)
  t.end()
})

t.test('the limit stays near what the receiver can handle', t => {
  const limit = createAdaptiveLimit()
  for (let round = 0; round < 100; round++) {
    answer(limit, 500, 10, 50)
    if (round > 5) t.ok(limit.current >= 8 && limit.current <= 25, `${limit.current}`)
  }
  t.end()
})

t.test('a receiver that became slower for good is not held down', t => {
  const limit = createAdaptiveLimit()
  answer(limit, 5000, 1000, 30)
  answer(limit, 20_000, 1000, 300)
  t.ok(limit.current > 50, `${limit.current}`)
  t.end()
})

t.test('a latency of a few milliseconds is not a sign of overload, whatever the lowest was', t => {
  const limit = createAdaptiveLimit()
  answer(limit, 200, 1000, 0.5)
  const before = limit.current
  answer(limit, 500, 1000, 15)
  t.ok(limit.current > before)
  t.end()
})

t.test('overload halves the limit, once per window, and it is at least one', t => {
  const limit = createAdaptiveLimit()
  answer(limit, 2000, 1000, 50)
  const before = limit.current
  for (let failure = 0; failure < 10; failure++) limit.overloaded()
  t.equal(limit.current, Math.floor(before / 2))
  for (let window = 0; window < 20; window++) {
    limit.overloaded()
    answer(limit, 100, 1000, 500)
  }
  t.ok(limit.current >= 1)
  t.end()
})

/** Of `of` answers, in random order, `failures` are failures. */
function answerSome(limit: ConcurrencyLimit, requests: number, failures: number, of: number): void {
  const random = seededRandom(7, 'failures')
  for (let request = 0; request < requests; request++)
    if (random.chance(failures / of)) limit.failed()
    else answer(limit, 1, 1000, 50)
}

t.test('other failures do not change the limit while they are fewer than the successes', t => {
  for (const [failures, of] of [
    [1, 10],
    [1, 3]
  ] as const) {
    const limit = createAdaptiveLimit()
    answerSome(limit, 20_000, failures, of)
    t.ok(limit.current >= 50, `${failures} of ${of}: ${limit.current}`)
  }
  t.end()
})

t.test('if most requests fail, the limit shrinks', t => {
  const limit = createAdaptiveLimit()
  answer(limit, 20_000, 1000, 50)
  answerSome(limit, 2000, 2, 3)
  t.ok(limit.current <= 4, `${limit.current}`)
  t.end()
})

t.test('the limit does not grow while it is not used', t => {
  const limit = createAdaptiveLimit()
  for (let request = 0; request < 1000; request++) limit.delivered(50, 1)
  t.equal(limit.current, 4)
  t.end()
})

t.test('after an outage both kinds start with few requests', t => {
  const adaptive = createAdaptiveLimit()
  answer(adaptive, 5000, 1000, 50)
  adaptive.restart()
  t.equal(adaptive.current, 4)
  const fixed = createFixedLimit(10)
  fixed.failed()
  t.equal(fixed.current, 10)
  fixed.restart()
  t.equal(fixed.current, 4)
  for (let request = 0; request < 20; request++) fixed.delivered(1000, 1)
  t.equal(fixed.current, 10)
  const one = createFixedLimit(1)
  one.restart()
  t.equal(one.current, 1)
  t.end()
})
