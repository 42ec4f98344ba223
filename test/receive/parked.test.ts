import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { parkedDeliveries, replayParked } from '../../src/dispatch/parked.ts'
import { createEventLog } from '../../src/log/append.ts'
import { formatPosition, type LogPosition } from '../../src/log/position.ts'
import { parkedId } from '../../src/receive/event-id.ts'
import { parseDelivery, toLogEntry } from '../../src/receive/log-entry.ts'
import { openParked, type ParkedDelivery, readParked } from '../../src/receive/parked.ts'
import type { VerifiedBody } from '../../src/receive/signature.ts'
import { signingKeys } from '../../src/settings/sources.ts'
import { anyText } from '../helpers/any-text.ts'
import { startRedis } from '../helpers/redis.ts'
import { startTestService } from '../helpers/service.ts'
import { KEY } from '../helpers/sign.ts'
import { testSource } from '../helpers/source.ts'

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 60)
const KEYS = signingKeys(KEY, undefined)

const redis = await startRedis()
t.teardown(() => redis.stop())
const service = await startTestService({ REDIS_URL: redis.url })
t.teardown(() => service.close())

const lastParked = async (): Promise<string> => {
  const [entry] = await redis.client.xrevrange('cio:parked:{0}', '+', '-', 'COUNT', 1)
  return entry?.[1][3] ?? ''
}
const read = (event: string): ParkedDelivery => {
  const delivery = readParked(event)
  if (delivery === undefined) throw new Error(`not a parked delivery: ${event}`)
  return delivery
}

t.test(
  'a parked delivery has a reason and an offset, and its body can only be read with the key',
  async t => {
    const body = Buffer.from('{"password":"hunter2","note":"write to ada@example.com",')
    const answer = await service.post(body)
    const event = await lastParked()
    t.match(JSON.parse(event), {
      specversion: '1.0',
      id: answer.body['id'],
      source: '/customerio/default',
      type: 'io.customer.parked',
      datacontenttype: 'application/json',
      data: {
        reason: 'not_json',
        offset: body.length,
        bytes: body.length,
        sha256: createHash('sha256').update(body).digest('hex'),
        algorithm: 'A256GCM',
        keyId: KEYS[0]?.id
      }
    })
    t.same(openParked(read(event), KEYS), body)
    t.match(
      openParked(read(event), signingKeys('another', 'and-another')),
      /signing key \w{8} .* not configured here/
    )
  }
)

t.test('all of a large body is kept', async t => {
  const body = Buffer.from(`not JSON ${'x'.repeat(5 * 1024 * 1024 - 20)} tail`)
  t.equal((await service.post(body)).body['status'], 'parked')
  const opened = openParked(read(await lastParked()), KEYS)
  t.ok(typeof opened === 'object' && opened.equals(body))
})

t.test('nothing of a body that cannot be parsed is in Redis, the log lines or the answer', async t => {
  const canary = fc.stringMatching(/^cnry[0-9a-f]{12}$/)
  const around = anyText({ maxLength: 20 }).map(text => Buffer.from(text))
  const bytes = fc.uint8Array({ maxLength: 8 }).map(some => Buffer.from(some))
  const bodies = fc
    .tuple(
      around,
      canary,
      bytes,
      fc.constantFrom<BufferEncoding>('utf8', 'utf16le'),
      fc.constantFrom('', '{', '"', '[')
    )
    .map(([before, secret, after, encoding, opening]) => ({
      secret,
      body: Buffer.concat([Buffer.from(opening), before, Buffer.from(secret, encoding), after])
    }))
  const written: string[] = []
  await fc.assert(
    fc.asyncProperty(bodies, async ({ secret, body }) => {
      const answer = await service.post(body)
      if (answer.body['status'] !== 'parked') return
      const event = await lastParked()
      written.push(secret)
      const shown = event + JSON.stringify(answer.body)
      const encoded = Buffer.from(secret).toString('base64').slice(0, 12)
      if (shown.includes(secret) || shown.includes(encoded)) throw new Error(event)
      const opened = openParked(read(event), KEYS)
      if (typeof opened !== 'object' || !opened.equals(body)) throw new Error('not the body that came')
    }),
    { numRuns: RUNS }
  )
  t.ok(written.length > RUNS / 2, `${written.length} were parked`)
  t.notMatch(service.logText(), /cnry[0-9a-f]{12}/)
})

t.test('the facts about a sealed body cannot be changed, nor the body moved to another delivery', async t => {
  const context = {
    source: testSource(),
    timestamp: '1',
    idHeader: undefined,
    receivedAtMs: 0,
    parkedAs: undefined,
    fromDoctor: false
  }
  const body = Buffer.from('{"a":1') as VerifiedBody
  const delivery = read(toLogEntry(parseDelivery(body, context)).event)
  t.same(openParked(delivery, KEYS), body)
  const { data } = delivery
  for (const changed of [
    { ...delivery, id: 'another' },
    { ...delivery, source: 'another' },
    { ...delivery, data: { ...data, reason: 'not_utf8' } },
    { ...delivery, data: { ...data, offset: 1 } },
    { ...delivery, data: { ...data, offset: undefined } },
    { ...delivery, data: { ...data, bytes: 7 } },
    { ...delivery, data: { ...data, sha256: '0'.repeat(64) } },
    { ...delivery, data: { ...data, idKind: 'header' } }
  ] as ParkedDelivery[]) {
    t.match(openParked(changed, KEYS), /was changed/, JSON.stringify(changed))
  }
})

t.test('a replayed delivery becomes an event once, or stays parked with its reason', async t => {
  const own = await startRedis()
  t.teardown(() => own.stop())
  const eventLog = createEventLog({
    redis: own.client,
    keyPrefix: 'cio:',
    partitions: 1,
    maxLength: 100,
    durabilityWait: undefined,
    isRedisUp: () => true
  })
  const parked = parkedDeliveries(own.client, 'cio:')
  const source = testSource({ idHeader: 'x-key' })
  const options = {
    parked,
    eventLog,
    sources: new Map([['default', source]]),
    keysOf: async () => KEYS
  }
  const contextOf = (idHeader?: string) => ({
    source,
    timestamp: '1795510800',
    idHeader,
    receivedAtMs: 1_795_510_800_123,
    parkedAs: undefined,
    fromDoctor: false
  })
  /** Parks a body like a version that could not parse it. */
  const park = async (text: string, idHeader?: string): Promise<LogPosition> => {
    const body = Buffer.from(text) as VerifiedBody
    const context = contextOf(idHeader)
    const asBroken = parseDelivery(Buffer.from('{') as VerifiedBody, context)
    const { type, event } = toLogEntry({ ...asBroken, ...parkedId(body, context), body })
    return formatPosition(
      0,
      String(await own.client.xadd('cio:parked:{0}', '*', 'type', type, 'event', event))
    )
  }

  const event =
    '{"event_id":"late","object_type":"email","metric":"sent","data":{"recipient":"ada@example.com"}}'
  const position = await park(event)
  t.equal(await replayParked(options, position), undefined)
  t.equal(await parked.count(), 0)
  const [[, fields] = []] = await own.client.xrange('cio:events:{0}', '-', '+')
  t.equal(fields?.[1], 'io.customer.email.sent')
  t.match(JSON.parse(fields?.[3] ?? ''), { id: 'late', receivedtime: '2026-11-24T09:00:00.123Z' })
  t.notMatch(fields?.[3], 'ada@example.com')

  t.equal(await replayParked(options, await park(event)), undefined, 'delivered again meanwhile')
  t.equal(await own.client.xlen('cio:events:{0}'), 1)

  // Without an event_id it keeps the id of its delivery, although headers are not stored.
  for (const [idHeader, length] of [
    ['K-1', 2],
    [undefined, 3]
  ] as const) {
    const text = '{"data":{"n":1}}'
    const delivered = parseDelivery(Buffer.from(text) as VerifiedBody, contextOf(idHeader))
    t.equal(await eventLog.append(toLogEntry(delivered)), 'appended')
    t.equal(await replayParked(options, await park(text, idHeader)), undefined)
    t.equal(await own.client.xlen('cio:events:{0}'), length, `once, by ${idHeader ?? 'its timestamp'}`)
  }

  const broken = await park('{broken')
  t.match(await replayParked(options, broken), 'it is still not an event: not_json')
  t.match(await replayParked({ ...options, sources: new Map() }, broken), /source default is not configured/)
  t.match(await replayParked({ ...options, keysOf: async () => [] }, broken), /sealed with the signing key/)
  t.match(await replayParked(options, '0-1-1'), /no such/)
  t.equal(await parked.count(), 1)

  const old = { reason: 'not_json', text: '{[REDACTED]', bytes: 9, truncated: false }
  const envelope = { specversion: '1.0', id: 'x', source: '/customerio/default', type: 'io.customer.parked' }
  const text = JSON.stringify({ ...envelope, receivedtime: '2026-11-24T09:00:00.123Z', data: old })
  const id = await own.client.xadd('cio:parked:{0}', '*', 'type', 'io.customer.parked', 'event', text)
  t.match(await replayParked(options, `0-${id}`), /version 0\.1/)
  t.equal(await parked.drop(`0-${id}`), true)
})
