import { hash } from 'node:crypto'
import t from 'tap'
import { createAttemptLog, type RecordedAttempt } from '../../src/dispatch/attempt-log.ts'
import { attemptHistory, attemptsKey } from '../../src/dispatch/attempts.ts'
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

t.test('an entry takes at most 200 bytes, and the stream keeps about the configured length', async t => {
  const log = openLog(1000)
  for (let index = 0; index < 1500; index++) {
    const longest = { answer: 'x'.repeat(300), attempt: 100, durationMs: 120_000, outcome: 'dead' } as const
    log.record(attempt({ ...longest, eventIds: [`${index}-`.padEnd(256, 'z')] }))
  }
  await log.close()
  t.same(log.errors, [])
  const length = await redis.client.xlen(attemptsKey('cio:', 'crm'))
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
  const added = Number(
    /entries-added,(\d+)/.exec(String(await redis.client.xinfo('STREAM', attemptsKey('cio:', 'crm'))))?.[1]
  )
  t.ok(added >= 300 && added <= 600, `${added} attempts were written`)
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
  const startedMs = performance.now()
  t.equal((await history.ofEvent('crm', 'oldest')).length, 1)
  t.ok(performance.now() - startedMs < 5000)
})

t.test('the end of the log of attempts is found without looking at every attempt once more', async t => {
  await redis.client.config('RESETSTAT')
  const log = openLog(10_000)
  for (let number = 1; number <= 1000; number++) log.record(attempt({ attempt: number }))
  await log.close()
  const found = await history.ofEvent('crm', 'e1')
  t.same([found.length, found[0]?.attempt, found.at(-1)?.attempt], [1000, 1000, 1], 'exactly one page')
  t.match(
    await redis.client.info('commandstats'),
    'cmdstat_xrevrange:calls=5,',
    'five pages of 200, and none before the first entry'
  )
})
