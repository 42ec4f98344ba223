import t from 'tap'
import { logBuckets, quantileOf } from '../../src/receive/log-buckets.ts'

t.test('every value of the range is less than 10 % away from the value of its bucket', async t => {
  const buckets = logBuckets(0.05, 10_000)
  const wrong: number[] = []
  for (let value = 0.05; value < 10_000; value *= 1.003) {
    if (Math.abs(buckets.valueOf(buckets.of(value)) / value - 1) >= 0.1) wrong.push(value)
  }
  t.same(wrong, [])
})

t.test('values outside the range are in the first and the last bucket', async t => {
  const buckets = logBuckets(1, 100)
  t.same([0, -1, 0.5].map(buckets.of), [0, 0, 0])
  t.equal(buckets.of(1e9), buckets.count - 1)
})

t.test('quantiles of known values are less than 10 % off, and without values there are none', async t => {
  const buckets = logBuckets(0.05, 10_000)
  const counts = new Map<number, number>()
  for (let value = 1; value <= 1000; value++) {
    const bucket = buckets.of(value)
    counts.set(bucket, (counts.get(bucket) ?? 0) + 1)
  }
  for (const quantile of [0.5, 0.9, 0.99]) {
    const found = quantileOf(buckets, counts, quantile) ?? 0
    t.ok(Math.abs(found / (1000 * quantile) - 1) < 0.1, `${quantile}: ${found}`)
  }
  t.equal(quantileOf(buckets, new Map(), 0.5), undefined)
})
