import fc from 'fast-check'
import t from 'tap'
import { createLogger } from '../../src/ops/logger.ts'
import {
  type DeliveryContext,
  parseDelivery,
  partitionKeyOf,
  toLogEntry
} from '../../src/receive/log-entry.ts'
import type { VerifiedBody } from '../../src/receive/signature.ts'
import { basic, customerio, definePolicy, pipelines } from '../../src/sanitize/policy.ts'
import { compileSanitizer, type Sanitizer } from '../../src/sanitize/sanitize.ts'
import { startService } from '../../src/service.ts'
import type { Config } from '../../src/settings/config.ts'
import type { Source } from '../../src/settings/sources.ts'
import { bestTime } from '../helpers/best-time.ts'
import { startRedis } from '../helpers/redis.ts'
import { deliverTo, postTo, testConfig } from '../helpers/service.ts'
import { KEY, signV0, unixNow, WEBHOOK_PATH } from '../helpers/sign.ts'
import { testSource } from '../helpers/source.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())

/** The service with a sanitizer that records the keys of its input, and is slow for whole bodies. */
async function startSlowService(busyMs: number) {
  const sanitized: (readonly string[])[] = []
  const slow = (sanitizer: Sanitizer): Sanitizer => ({
    ...sanitizer,
    value: (json, about) => {
      const keys = Object.keys(Object(json))
      sanitized.push(keys)
      const until = performance.now() + (keys.includes('pad') ? busyMs : 0)
      while (performance.now() < until);
      return sanitizer.value(json, about)
    }
  })
  const config = await testConfig({ REDIS_URL: redis.url, PARTITIONS: '8' })
  const withSlow = (source: Source): Source => ({ ...source, sanitizer: slow(source.sanitizer) })
  const sources: Config['sources'] = new Map([...config.sources].map(([name, one]) => [name, withSlow(one)]))
  const service = await startService({
    config: { ...config, sources },
    log: createLogger('silent').log,
    redisAddress: redis.address,
    runsMaintenance: false
  })
  t.teardown(() => service.close())
  return { url: `http://127.0.0.1:${service.port}${WEBHOOK_PATH}`, sanitized }
}

const bodyOf = (id: string, bytes: number, data: object): string =>
  JSON.stringify({ event_id: id, data, pad: 'x'.repeat(bytes) })

t.test('after a large delivery took longer than the deadline, its retry is not sanitized again', async t => {
  const { url, sanitized } = await startSlowService(3600)
  const body = bodyOf('slow', 5 * 1024 * 1024 - 200, { customer_id: 'ada@example.com' })
  await postTo(url, body)
  const tookMs = await bestTime(3000, async () => {
    const retry = await deliverTo(url, body, signV0(body, KEY, unixNow() - 1))
    t.same(retry.body, { status: 'duplicate', id: 'slow' })
  })
  t.ok(tookMs < 3000, `after ${Math.round(tookMs)} ms`)
  t.equal(sanitized.filter(keys => keys.includes('pad')).length, 1, 'sanitized once')
})

t.test('large deliveries are looked up in their partition first, small ones are not', async t => {
  const { url, sanitized } = await startSlowService(0)
  const people = [
    { customer_id: 'ada@example.com' },
    { customer_id: 4711 },
    { identifiers: { id: '4712' } },
    { customer_id: '', identifiers: { id: 'y'.repeat(1000) } },
    {}
  ]
  for (const [index, data] of people.entries()) {
    const [large, small] = [bodyOf(`large-${index}`, 70_000, data), bodyOf(`small-${index}`, 1000, data)]
    for (const expected of ['accepted', 'duplicate', 'duplicate']) {
      t.equal((await deliverTo(url, large)).body['status'], expected, `large, ${JSON.stringify(data)}`)
      t.equal((await deliverTo(url, small)).body['status'], expected)
    }
  }
  const whole = sanitized.filter(keys => keys.includes('pad')).length
  t.equal(whole, people.length * (1 + 3), 'each large one once, each small one each time')
  const parts = sanitized.filter(keys => !keys.includes('pad')).length
  t.equal(parts, people.length * 3, 'the subject alone of each large one')
})

t.test('the partition of a delivery is known before all of it is sanitized', async t => {
  const id = fc.oneof(
    fc.constantFrom<unknown>(
      'ada@example.com',
      'Ada <ada@example.com>',
      '+1 415 555 0123',
      ' ',
      '',
      null,
      0,
      4.5,
      true
    ),
    fc.string(),
    fc.string({ minLength: 250, maxLength: 300 }),
    fc.constantFrom(
      '[REDACTED]',
      '4473000321468',
      '0012345678901',
      '4111 1111 1111 1111',
      'see +14155550123'
    ),
    fc.anything({ maxDepth: 2 })
  )
  const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined })
  const payload = fc.record({
    object_type: fc.constantFrom('email', undefined),
    metric: fc.constantFrom('sent', 'cio_subscription_preferences_changed'),
    userId: optional(id),
    data: fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({ customer_id: optional(id), identifiers: optional(fc.record({ id })) })
      },
      { weight: 1, arbitrary: fc.anything({ maxDepth: 2 }) }
    )
  })
  const policies = [
    compileSanitizer(customerio),
    compileSanitizer(pipelines, { hashKey: 'k' }),
    compileSanitizer(basic, { redactFields: ['customer_id'] }),
    compileSanitizer(definePolicy({ extends: 'customerio', fields: { customer_id: 'hash' } }))
  ]
  const sources = policies.flatMap(sanitizer => [
    testSource({ sanitizer }),
    testSource({ sanitizer, schemes: ['cdp'] })
  ])
  fc.assert(
    fc.property(payload, fc.constantFrom(...sources), (value, source) => {
      const context: DeliveryContext = {
        source,
        timestamp: '1',
        idHeader: undefined,
        receivedAtMs: 0,
        parkedAs: undefined,
        fromDoctor: false
      }
      const delivery = parseDelivery(Buffer.from(JSON.stringify(value)) as VerifiedBody, context)
      const [early, late] = [partitionKeyOf(delivery), toLogEntry(delivery).partitionKey]
      if (early !== late) throw new Error(`${early} became ${late}: ${JSON.stringify(value)}`)
    }),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 100) * 3 }
  )
  t.pass()
})
