import t from 'tap'
import { deadLetters } from '../../src/group/dead-letters.ts'
import { toOutgoingEvent } from '../../src/group/outgoing-event.ts'
import { connectRedis } from '../../src/redis/connect.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const redis = await startRedis()
const connection = connectRedis(redis.address)
t.teardown(async () => {
  connection.disconnect()
  await redis.stop()
})
await until('a connection', async () => connection.status === 'ready')
const letters = deadLetters(connection, 'cio:')
t.beforeEach(() => redis.client.flushall())

const EVENT = JSON.stringify({
  specversion: '1.0',
  id: 'e1',
  source: '/customerio/shop',
  type: 'io.customer.email.sent'
})
const ENTRY = {
  position: '1-5-0',
  type: 'io.customer.email.sent',
  event: EVENT,
  fields: ['type', 'x']
} as const
const failure = (error: unknown) => ({ reason: 'failed', error, attempts: 3 }) as const

t.test('a dead letter has the entry, its position, the reason and the attempts', async t => {
  await letters.add('crm', ENTRY, failure(new TypeError('no such customer')))
  const [letter, ...more] = await letters.list('crm', 10)
  t.same(more, [])
  t.match(letter, {
    letter: /^\d{13}-\d+$/,
    reason: 'failed',
    error: 'TypeError: no such customer',
    attempts: 3,
    type: 'io.customer.email.sent',
    event: EVENT,
    position: '1-5-0'
  })
  const [[, fields = []] = []] = await redis.client.xrange('cio:dead:crm', '-', '+')
  t.same(
    fields.filter((_, index) => index % 2 === 0),
    ['partition', 'id', 'type', 'event', 'reason', 'error', 'attempts', 'lastAttempts', 'time']
  )
  t.match(letter && toOutgoingEvent(letter), { id: 'e1', source: 'shop', event: EVENT, position: '1-5-0' })
})

t.test('a dead letter keeps the last five attempts, and one without them has none', async t => {
  const attempts = Array.from({ length: 7 }, (_, index) => ({
    attempt: index + 1,
    atMs: 1_795_510_800_000 + index,
    answer: index === 6 ? 'refused: two\nlines' : '503',
    durationMs: index
  }))
  await letters.add('crm', ENTRY, { ...failure(new Error('x')), lastAttempts: attempts })
  await redis.client.xadd('cio:dead:crm', '*', 'partition', '0', 'id', '1-1', 'attempts', '3')
  const [letter, older] = await letters.list('crm', 10)
  t.same(letter?.lastAttempts, [...attempts.slice(2, 6), { ...attempts[6], answer: 'refused: two lines' }])
  t.same(older?.lastAttempts, [])
})

t.test('the fields of a malformed entry are kept, and it is not an event to be sent again', async t => {
  const entry = { position: '0-1-0', type: '', event: '', fields: ['hello', 'world'] } as const
  await letters.add('crm', entry, { reason: 'malformed', error: new Error('malformed'), attempts: 0 })
  const [[, fields = []] = []] = await redis.client.xrange('cio:dead:crm', '-', '+')
  t.equal(fields[fields.indexOf('fields') + 1], '["hello","world"]')
  const [letter] = await letters.list('crm', 1)
  t.match(letter, { reason: 'malformed', type: '', event: '', position: '0-1-0' })
  t.equal(letter && toOutgoingEvent(letter), undefined)
})

t.test('the error is one short line without personal data, whatever was thrown', async t => {
  const long = `ada@example.com\n${'x'.repeat(485)} bob@example.com`
  for (const error of [new Error(long), 'a string', undefined])
    await letters.add('crm', ENTRY, failure(error))
  const [first = '', ...others] = (await letters.list('crm', 10)).map(({ error }) => error)
  t.equal(first.length, 500)
  t.notMatch(first, /ada|bob|\n/)
  t.same(others, ['string thrown', 'undefined thrown'])
})

t.test(
  'dead letters are counted, listed page by page, read, dropped and cleared for each consumer',
  async t => {
    for (let n = 0; n < 3; n++) await letters.add('crm', ENTRY, failure(new Error(String(n))))
    await letters.add('other', ENTRY, failure(new Error('other')))
    t.equal(await letters.count('crm'), 3)
    const [first] = await letters.list('crm', 1)
    const rest = await letters.list('crm', 10, first?.letter)
    t.same(
      [first, ...rest].map(letter => letter?.error),
      ['Error: 0', 'Error: 1', 'Error: 2']
    )
    t.same(await letters.get('crm', first?.letter ?? ''), first)
    t.equal(await letters.get('crm', '1-1'), undefined)
    t.equal(await letters.drop('crm', []), 0)
    t.equal(await letters.drop('crm', [first?.letter ?? '', '1-1']), 1)
    await letters.clear('crm')
    t.same([await letters.count('crm'), await letters.count('other')], [0, 1])
  }
)

t.test('a dead letter is added although Redis is full', async t => {
  await redis.client.config('SET', 'maxmemory', '1mb')
  await letters.add('crm', ENTRY, failure(new Error('as a test')))
  await redis.client.config('SET', 'maxmemory', '0')
  t.equal(await letters.count('crm'), 1)
})
