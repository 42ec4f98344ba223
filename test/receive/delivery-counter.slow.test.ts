import { randomUUID } from 'node:crypto'
import t from 'tap'
import { deliveryOutcomes } from '../../src/ops/outcomes.ts'
import type { Delivery } from '../../src/receive/delivery.ts'
import { createDeliveryCounter } from '../../src/receive/delivery-counter.ts'
import { deliveryKeys, readDeliveryStats, readLastDeliveries } from '../../src/receive/delivery-stats.ts'
import { connectedRedis } from '../helpers/redis.ts'
import { testSource } from '../helpers/source.ts'

const { connection: redis } = await connectedRedis(t)
const HOUR_MS = 3_600_000
/** Within a minute: what is written and read in one test must not depend on when it runs. */
const NOW_MS = Date.UTC(2026, 0, 15, 12, 5, 20)

function delivery(changes: Partial<Delivery> = {}): Delivery {
  return {
    source: testSource(),
    address: '192.0.2.1',
    startedMs: performance.now() - 5,
    listed: true,
    addressAllowed: true,
    barred: false,
    key: 'current',
    ...changes
  }
}

function counter(keyPrefix: string, changes: Partial<Parameters<typeof createDeliveryCounter>[0]> = {}) {
  return createDeliveryCounter({
    redis,
    keyPrefix,
    sources: ['default'],
    isRedisUp: () => true,
    now: () => NOW_MS,
    ...changes
  })
}

const lastHours = (keyPrefix: string, hours: number) =>
  readDeliveryStats(redis, keyPrefix, { fromMs: NOW_MS - hours * HOUR_MS, toMs: NOW_MS })
const lastHour = (keyPrefix: string) => lastHours(keyPrefix, 1)

t.test('the sums over all replicas are what they have counted', async t => {
  const prefix = `${randomUUID()}:`
  const replicas = [1, 2, 3].map(() => counter(prefix))
  const sent: Record<string, number> = {}
  for (let n = 0; n < 3000; n++) {
    const outcome = deliveryOutcomes[Math.floor(Math.random() * deliveryOutcomes.length)] ?? 'accepted'
    replicas[n % 3]?.record(delivery(), outcome, performance.now())
    sent[outcome] = (sent[outcome] ?? 0) + 1
    // Part of the counts is added in between, while others are counted.
    if (n % 1000 === 999) await Promise.all(replicas.map(replica => replica.stop()))
  }
  await Promise.all(replicas.map(replica => replica.stop()))
  const stats = await lastHour(prefix)
  t.same(stats.outcomes, sent)
  t.same(stats.sources.get('default')?.outcomes, sent)
  t.equal(stats.sources.get('default')?.keys.current, 3000)
  t.ok(stats.durationMs !== undefined && stats.durationMs.p50 > 4 && stats.durationMs.p50 < 10)
  const day = await lastHours(prefix, 24)
  t.same(day.outcomes, sent)
  t.equal(day.rows.length, 97)
})

t.test('counts of an outage are added when Redis is back, in the minutes in which they happened', async t => {
  const prefix = `${randomUUID()}:`
  let [up, nowMs] = [false, NOW_MS - 10 * 60_000]
  const replica = counter(prefix, { isRedisUp: () => up, now: () => nowMs })
  for (let minute = 0; minute < 5; minute++) {
    replica.record(delivery({ reason: 'redis_down' }), 'unavailable', performance.now())
    await replica.stop()
    nowMs += 60_000
  }
  t.same((await lastHour(prefix)).outcomes, {})
  up = true
  await replica.stop()
  const stats = await lastHour(prefix)
  t.same(stats.outcomes, { unavailable: 5 })
  t.same(stats.unavailable, { redis_down: 5 })
  t.equal(stats.rows.filter(({ outcomes }) => outcomes.unavailable === 1).length, 5)
})

t.test('a call whose reply was lost is repeated, and counts once', async t => {
  const prefix = `${randomUUID()}:`
  let lost = 0
  const lossy = new Proxy(redis, {
    get: (target, name) => {
      if (name !== 'sendCommand') return Reflect.get(target, name, target)
      return async (command: Parameters<typeof redis.sendCommand>[0]) => {
        const reply = await target.sendCommand(command)
        if (lost++ % 2 === 0) throw new Error('Command timed out')
        return reply
      }
    }
  })
  const replica = counter(prefix, { redis: lossy })
  for (let n = 0; n < 10; n++) {
    replica.record(delivery(), 'accepted', performance.now())
    await replica.stop()
  }
  await replica.stop()
  t.ok(lost > 10)
  t.same((await lastHour(prefix)).outcomes, { accepted: 10 })
})

t.test('a long outage keeps a bounded number of counts: the newest', async t => {
  const prefix = `${randomUUID()}:`
  let [up, nowMs] = [false, NOW_MS - 24 * HOUR_MS]
  const sources = Array.from({ length: 60 }, (_, n) => testSource({ name: `source-${n}` }))
  const names = sources.map(({ name }) => name)
  const replica = counter(prefix, { sources: names, isRedisUp: () => up, now: () => nowMs })
  for (let minute = 0; minute < 24 * 60; minute++) {
    for (const source of sources) {
      replica.record(delivery({ source, reason: 'redis_down' }), 'unavailable', performance.now())
    }
    nowMs += 60_000
    await replica.stop()
  }
  up = true
  await replica.stop()
  const keys = await redis.keys(`${prefix}{deliveries}:minute:*`)
  t.ok(keys.length > 60 && keys.length < 24 * 60, `${keys.length} minutes`)
  // Not the present minute: on a busy machine, another one has begun since the test started.
  const { outcomes, rows } = await readDeliveryStats(redis, prefix, {
    fromMs: nowMs - HOUR_MS,
    toMs: nowMs - 60_000
  })
  t.equal(outcomes.unavailable, rows.length * 60)
})

t.test('the last delivery of a source is the newest authentic one of all replicas', async t => {
  const prefix = `${randomUUID()}:`
  const [older, newer] = [counter(prefix, { now: () => 1000 }), counter(prefix, { now: () => 9000 })]
  newer.record(delivery({ ageSeconds: 7 }), 'duplicate', performance.now())
  await newer.stop()
  older.record(delivery({ ageSeconds: 1 }), 'accepted', performance.now())
  older.record(
    delivery({ key: undefined as never, reason: 'mismatch' }),
    'signature_invalid',
    performance.now()
  )
  await older.stop()
  const last = (await readLastDeliveries(redis, prefix)).get('default')
  t.match(last, { outcome: 'duplicate', ageSeconds: 7 })
  t.ok(last !== undefined && Math.abs(last.atMs - 9000) < 100)
})

t.test('hashes of counts expire after a day, and an unknown source is not counted', async t => {
  const prefix = `${randomUUID()}:`
  const replica = counter(prefix)
  replica.record(delivery({ source: testSource({ name: 'unknown' }) }), 'accepted', performance.now())
  await replica.stop()
  t.same(await redis.keys(`${prefix}*`), [])
  replica.record(delivery(), 'accepted', performance.now())
  await replica.stop()
  const minuteMs = Math.floor(NOW_MS / 60_000) * 60_000
  const seconds = await redis.ttl(deliveryKeys(prefix).bucket('minute', minuteMs))
  t.ok(seconds > 24 * 3600 && seconds <= 25 * 3600)
})
