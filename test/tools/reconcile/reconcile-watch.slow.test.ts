import t from 'tap'
import { UnavailableError } from '../../../src/errors.ts'
import { createEventLog, type EventLog } from '../../../src/log/append.ts'
import { formatGenerations } from '../../../src/log/dedupe-index.ts'
import { partitionKeys } from '../../../src/log/keys.ts'
import { createMessageIndex } from '../../../src/log/message-index.ts'
import { deliveryKeys } from '../../../src/receive/delivery-stats.ts'
import { connectRedis } from '../../../src/redis/connect.ts'
import { readProgress, saveProgress } from '../../../src/tools/reconcile/progress.ts'
import { newProgress } from '../../../src/tools/reconcile/reconcile.ts'
import { createReconcileWatch } from '../../../src/tools/reconcile/reconcile-watch.ts'
import { readResult, writeResult } from '../../../src/tools/reconcile/result.ts'
import { appApiOf, startCustomerIo } from '../../helpers/customer-io.ts'
import { fakeMessage, serveMessages } from '../../helpers/fake-messages.ts'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { testSource } from '../../helpers/source.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const connection = connectRedis(redis.address)
t.teardown(() => connection.disconnect())
await until('a connection', async () => connection.status === 'ready')

const DAY = 86_400
const nowSeconds = Math.floor(Date.now() / 1000)
const keyPrefix = 'cio:'
const index = createMessageIndex(undefined)
const fake = await startCustomerIo(t)
fake.appKeys.add('app-key')
const messages = [
  fakeMessage('A', nowSeconds - 7200),
  fakeMessage('B', nowSeconds - 7200, { type: 'rcs' }),
  fakeMessage('C', nowSeconds - 3 * DAY)
]
serveMessages(fake, messages)

const lines: { level: string; line: Record<string, unknown>; text: string }[] = []
const shown: Record<string, number>[] = []
const logAs = (level: string) => (line: object, text?: string) =>
  void lines.push({ level, line: { ...line }, text: text ?? '' })
const log = { info: logAs('info'), warn: logAs('warn'), error: logAs('error') } as unknown as Parameters<
  typeof createReconcileWatch
>[0]['log']
const eventLog = createEventLog({
  redis: connection,
  keyPrefix,
  partitions: 1,
  maxLength: 1000,
  messageIndex: index,
  durabilityWait: undefined,
  isRedisUp: () => true
})
const replica = (fill = false, appends: Partial<EventLog> = {}) =>
  createReconcileWatch({
    redis: connection,
    keyPrefix,
    api: appApiOf(fake),
    index,
    source: testSource(),
    eventLog: { ...eventLog, ...appends },
    fill,
    indexMs: 8 * DAY * 1000,
    isRedisUp: () => true,
    metrics: { missingEvents: missing => void shown.push(missing) },
    log,
    now: Date.now
  })
const messageRequests = () => fake.requests.filter(request => request.includes('/v1/messages'))
const anHourPasses = async () => {
  const result = await readResult(connection, keyPrefix)
  if (result !== undefined) await writeResult(connection, keyPrefix, { ...result, at: result.at - 3_700_000 })
}
const arrived = (happenedAtMs: number) =>
  redis.client.hset(
    deliveryKeys(keyPrefix).last,
    'default',
    JSON.stringify({ at: Date.now(), outcome: 'accepted', ageSeconds: (Date.now() - happenedAtMs) / 1000 })
  )

t.test('before the index begins nothing is asked', async t => {
  await replica().refresh()
  t.same(messageRequests(), [])
  t.same(lines, [])
  const { messages: keys } = partitionKeys(keyPrefix, 0)
  await redis.client.set(keys.keyId, 'none')
  const openedAtMs = (nowSeconds - 4 * DAY) * 1000
  await redis.client.set(keys.generations, formatGenerations([{ number: 1, buckets: 256, openedAtMs }]))
})

t.test('one replica compares the last day per hour, and all show what is missing', async t => {
  await arrived(Date.now())
  await Promise.all([replica().refresh(), replica().refresh()])
  t.equal(messageRequests().length, 1)
  await replica().refresh()
  t.equal(messageRequests().length, 1, 'not again within the hour')
  t.same(shown.at(-1), { email: 2, unknown: 2 }, 'an object type that is not documented is unknown')
  const errors = lines.filter(({ level }) => level === 'error')
  t.match(errors, [{ text: /^events are missing/, line: { missing: 4, fix: /reconcile --fill/ } }])
  t.equal(await redis.client.exists('cio:events:{0}'), 0, 'nothing is appended')
  t.notMatch(JSON.stringify(lines), /example\.com|customer-of/)
})

t.test(
  'after an outage, what is queued is not missing, and is compared again when the queue has passed it',
  async t => {
    await arrived((nowSeconds - 4 * DAY) * 1000)
    await writeResult(connection, keyPrefix, {
      at: 0,
      finished: { at: 0, toSeconds: nowSeconds - 4 * DAY, missing: {} }
    })
    await replica().refresh()
    t.same(shown.at(-1), {}, 'nothing yet')
    t.match(await readResult(connection, keyPrefix), { finished: { waitingSince: nowSeconds - 3 * DAY } })
    await arrived(Date.now())
    await anHourPasses()
    await replica(true).refresh()
    t.match(lines.at(-1), { level: 'info', line: { checked: 6, filled: 6 } })
    t.equal(await redis.client.xlen('cio:events:{0}'), 6, 'filled')
    t.same(shown.at(-1), {})
  }
)

t.test('events that a failed run of the service did not append use no memory', async t => {
  messages.push(fakeMessage('D', nowSeconds - 3600), fakeMessage('E', nowSeconds - 3600))
  await anHourPasses()
  const full = { append: () => Promise.reject(new UnavailableError('redis_full')) }
  lines.length = 0
  await replica(true, full).refresh()
  t.match(lines, [{ level: 'warn', text: /the comparison with Customer.io failed/ }])
  t.same(await redis.client.keys('cio:{reconcile}*'), ['cio:{reconcile}:result'])
  messages.splice(-2)
})

t.test('a failure is logged once per hour with its cause, and keeps the last result', async t => {
  await anHourPasses()
  const before = await readResult(connection, keyPrefix)
  fake.appKeys.clear()
  lines.length = 0
  await replica().refresh()
  await replica().refresh()
  fake.appKeys.add('app-key')
  t.match(lines, [{ level: 'warn', text: /the next one is in an hour/, line: { err: /status 401/ } }])
  t.equal(lines.length, 1)
  t.same((await readResult(connection, keyPrefix))?.finished, before?.finished)
})

t.test('the interrupted comparison of an operator is kept', async t => {
  const range = { fromSeconds: 0, toSeconds: nowSeconds }
  const about = { runner: 'command', source: 'default', fill: true, startedAtMs: 0 } as const
  await saveProgress(connection, keyPrefix, { ...newProgress(range, about), cursor: 'abc' })
  await anHourPasses()
  await replica().refresh()
  t.equal((await readProgress(connection, keyPrefix))?.cursor, 'abc')
})
