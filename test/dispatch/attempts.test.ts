import { hash } from 'node:crypto'
import t from 'tap'
import { createAttemptLog, type RecordedAttempt } from '../../src/dispatch/attempt-log.ts'
import { attemptHistory, attemptsKey } from '../../src/dispatch/attempts.ts'
import { flatToMap } from '../../src/redis/reply.ts'
import { deliveryRate } from '../../src/tools/consumers/delivery-rate.ts'
import { bestTime } from '../helpers/best-time.ts'
import { connectedRedis } from '../helpers/redis.ts'

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())

const history = attemptHistory(redis.connection, 'cio:')

function openLog(length: number) {
  const errors: unknown[] = []
  const log = createAttemptLog({
    redis: redis.connection,
    keyPrefix: 'cio:',
    length,
    onError: error => errors.push(error)
  })
  return { ...log, errors }
}

const attempt = (changes: Partial<RecordedAttempt> = {}): RecordedAttempt => ({
  consumer: 'crm',
  eventIds: ['e1'],
  attempt: 1,
  atMs: 1_795_510_800_000,
  outcome: 'delivered',
  answer: '200',
  durationMs: 12,
  ...changes
})

t.test('an attempt is found as it was recorded, and those of an event newest first', async t => {
  const log = openLog(100)
  log.record(attempt({ attempt: 1, outcome: 'failed', answer: 'ECONNREFUSED', durationMs: 3.4 }))
  log.record(attempt({ eventIds: ['e2', 'e3'], answer: 'confirmed' }))
  log.record(attempt({ attempt: 2, answer: '200' }))
  log.record(attempt({ consumer: 'bus', eventIds: ['e1'] }))
  await log.close()
  t.same(await history.ofEvent('crm', 'e1'), [
    {
      consumer: 'crm',
      eventId: 'e1',
      attempt: 2,
      atMs: 1_795_510_800_000,
      outcome: 'delivered',
      answer: '200',
      durationMs: 12
    },
    {
      consumer: 'crm',
      eventId: 'e1',
      attempt: 1,
      atMs: 1_795_510_800_000,
      outcome: 'failed',
      answer: 'ECONNREFUSED',
      durationMs: 3
    }
  ])
  t.same(
    (await history.newest('crm', 3)).map(({ eventId }) => eventId),
    ['e1', 'e3', 'e2']
  )
  t.same(await history.ofEvent('crm', 'unknown'), [])
  await history.remove('crm')
  t.same(await history.newest('crm', 10), [])
  t.equal((await history.newest('bus', 10)).length, 1)
})

t.test('long ids and ids that are no header values are found by the id of the event', async t => {
  const long = 'a'.repeat(256)
  const unsafe = 'bound\n'
  const log = openLog(100)
  log.record(attempt({ eventIds: [long] }))
  // What `toOutgoingEvent` makes of it.
  log.record(attempt({ eventIds: [hash('sha256', unsafe)] }))
  await log.close()
  for (const id of [long, unsafe]) t.equal((await history.ofEvent('crm', id)).length, 1, id.slice(0, 10))
})

t.test('an attempt takes at most 200 bytes, and about the configured number is kept', async t => {
  const log = openLog(1000)
  for (let index = 0; index < 1500; index++) {
    const longest = { answer: 'x'.repeat(300), attempt: 100, durationMs: 120_000, outcome: 'dead' } as const
    log.record(attempt({ ...longest, eventIds: [`${index}-`.padEnd(256, 'z')] }))
  }
  await log.close()
  t.same(log.errors, [])
  const { length } = await history.newest('crm', 10_000)
  t.ok(length >= 1000 && length < 1200, `${length} attempts`)
  const bytes = await redis.client.memory('USAGE', attemptsKey('cio:', 'crm'), 'SAMPLES', 0)
  t.ok((bytes ?? Number.POSITIVE_INFINITY) / length <= 200, `${bytes} bytes for ${length} attempts`)
})

t.test('of a burst that is longer than the log, only the newest attempts are written', async t => {
  const log = openLog(300)
  for (let batch = 0; batch < 50; batch++) {
    log.record(attempt({ eventIds: Array.from({ length: 200 }, (_, index) => `${batch}-${index}`) }))
  }
  await log.close()
  const [{ eventId } = { eventId: '' }] = await history.newest('crm', 1)
  t.equal(eventId, '49-199')
  const [[, fields = []] = []] = await redis.client.xrevrange(
    attemptsKey('cio:', 'crm'),
    '+',
    '-',
    'COUNT',
    1
  )
  const written = Number(flatToMap(fields).get('total'))
  t.ok(written >= 300 && written <= 600, `${written} attempts were written`)
})

t.test('the attempts of one consumer are written if those of another cannot be', async t => {
  await redis.client.set(attemptsKey('cio:', 'crm'), 'not a stream')
  const log = openLog(100)
  log.record(attempt())
  log.record(attempt({ consumer: 'bus' }))
  await log.close()
  t.match(await history.newest('bus', 10), [{ eventId: 'e1' }])
  t.match(log.errors, [{ message: /WRONGTYPE/ }])
})

t.test('with length 0 nothing is written', async t => {
  const log = openLog(0)
  log.record(attempt())
  await log.close()
  t.same(await redis.client.keys('*'), [])
})

t.test('the attempts of an event are found among a hundred thousand', async t => {
  const log = openLog(100_000)
  log.record(attempt({ eventIds: ['oldest'] }))
  for (let batch = 0; batch < 99; batch++) {
    log.record(attempt({ eventIds: Array.from({ length: 1000 }, (_, index) => `${batch}-${index}`) }))
  }
  await log.close()
  const tookMs = await bestTime(5000, async () => t.equal((await history.ofEvent('crm', 'oldest')).length, 1))
  t.ok(tookMs < 5000, `${tookMs} ms`)
})

t.test('attempts that were recorded one per second are joined, and trimmed like those of bursts', async t => {
  const write = async (eventIds: readonly string[]): Promise<void> => {
    const log = openLog(200)
    log.record(attempt({ eventIds }))
    await log.close()
    t.same(log.errors, [])
  }
  const idsOf = (first: number, count: number) =>
    Array.from({ length: count }, (_, index) => String(first + index))
  const kept = async () => {
    const found = await history.newest('crm', 10_000)
    t.same(
      found.map(({ eventId }) => Number(eventId)),
      found.map((_, index) => Number(found[0]?.eventId) - index),
      'none is missing, and the order is kept'
    )
    return { newest: found[0]?.eventId, count: found.length }
  }
  for (let number = 1; number <= 230; number++) await write([String(number)])
  t.same(await kept(), { newest: '230', count: 230 }, 'an entry is kept until none of its attempts is needed')
  const entries = await redis.client.xlen(attemptsKey('cio:', 'crm'))
  t.equal(entries, 4 + 30, 'joined by fifty')
  for (let number = 231; number <= 260; number++) await write([String(number)])
  t.same(await kept(), { newest: '260', count: 210 })
  await write(idsOf(261, 90))
  t.same(await kept(), { newest: '350', count: 200 })
  for (let number = 351; number <= 550; number++) await write([String(number)])
  t.same(await kept(), { newest: '550', count: 200 })
})

t.test('entries of version 0.1 are read, and replaced one for one', async t => {
  const atMs = Date.now()
  const addOld = (id: string, outcome: string) =>
    redis.client.xadd(
      attemptsKey('cio:', 'crm'),
      '*',
      ...['event', id, 'attempt', 3, 'time', atMs, 'outcome', outcome, 'answer', '503', 'ms', 7]
    )
  await addOld('e1', 'failed')
  for (let number = 0; number < 99; number++) await addOld(`old-${number}`, 'delivered')
  const old = { ...attempt({ atMs }), eventIds: undefined, eventId: 'e1', attempt: 3, outcome: 'failed' }
  t.match(await history.ofEvent('crm', 'e1'), [{ ...old, answer: '503', durationMs: 7 }])
  t.match(await history.newest('crm', 1), [{ eventId: 'old-98', outcome: 'delivered' }])
  t.match(await deliveryRate(redis.connection, 'cio:', 'crm'), { eventsPerMinute: 99 })

  for (const eventIds of [['new-1'], ['new-2', 'new-3']]) {
    const log = openLog(100)
    log.record(attempt({ eventIds, atMs }))
    await log.close()
  }
  const found = await history.newest('crm', 200)
  t.same([found.length, found[0]?.eventId, found.at(-1)?.eventId], [100, 'new-3', 'old-2'])
  t.match(await deliveryRate(redis.connection, 'cio:', 'crm'), { eventsPerMinute: 100 })
})

t.test('the delivery rate counts the attempts of the last minute by their time', async t => {
  const nowMs = Date.now()
  for (let secondsAgo = 119; secondsAgo >= 0; secondsAgo--) {
    const log = openLog(10_000)
    const outcome = secondsAgo % 2 === 0 ? 'delivered' : 'failed'
    log.record(attempt({ atMs: nowMs - secondsAgo * 1000, outcome }))
    await log.close()
  }
  const rate = await deliveryRate(redis.connection, 'cio:', 'crm')
  t.match(rate, { isAtLeast: false })
  t.ok(rate.eventsPerMinute >= 29 && rate.eventsPerMinute <= 30, `${rate.eventsPerMinute} per minute`)
})

t.test('all attempts of an event are found in all entries, also where its id begins another one', async t => {
  const log = openLog(10_000)
  for (let number = 1; number <= 5000; number++) {
    log.record(attempt({ attempt: number, eventIds: [['e1', 'e10', 'e'][number % 3] ?? ''] }))
  }
  await log.close()
  for (const id of ['e1', 'e10', 'e']) {
    const numbers = (await history.ofEvent('crm', id)).map(({ attempt }) => attempt)
    t.same(
      numbers,
      [...numbers].sort((a, b) => b - a),
      'newest first'
    )
    t.ok(numbers.length >= 1666, `${numbers.length} attempts of ${id}`)
  }
})

t.test('the end of the log of attempts is found without looking at every attempt once more', async t => {
  const log = openLog(10_000)
  for (let number = 1; number <= 10_000; number++) log.record(attempt({ attempt: number }))
  await log.close()
  await redis.client.config('RESETSTAT')
  const found = await history.ofEvent('crm', 'e1')
  t.same([found.length, found[0]?.attempt, found.at(-1)?.attempt], [10_000, 10_000, 1], 'exactly five pages')
  t.match(
    await redis.client.info('commandstats'),
    'cmdstat_xrevrange:calls=5,',
    'five pages of 20 entries, and none before the first entry'
  )
})
