import { ReplyError } from 'ioredis'
import t, { type Test } from 'tap'
import {
  ConfigError,
  createConsumer,
  EntriesDeletedError,
  type ErrorContext,
  InterruptedError,
  MalformedEntryError
} from '../../src/consume/consumer.ts'
import { CONSUMER_NAME } from '../../src/group/fenced-read.ts'
import { appendEvent } from '../helpers/log.ts'
import { flushedRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const GROUP = 'crm'
const STREAM = 'cio:events:{0}'

const redis = await flushedRedis(t)

interface Seen {
  readonly events: string[]
  readonly errors: { readonly error: unknown; readonly about: ErrorContext | undefined }[]
}

async function consume(test: Test): Promise<Seen> {
  const seen: Seen = { events: [], errors: [] }
  const consumer = createConsumer(
    {
      redisUrl: redis.url,
      group: GROUP,
      maxAttempts: 2,
      onError: (error, about) => seen.errors.push({ error, about })
    },
    async event => seen.events.push(event.id)
  )
  test.teardown(() => consumer.stop())
  await consumer.start()
  return seen
}

/** Delivers the first entries of the log to a member that acknowledges none of them. */
async function readWithoutAcknowledging(count: number): Promise<void> {
  await redis.client.xgroup('CREATE', STREAM, GROUP, '0')
  await redis.client.xreadgroup('GROUP', GROUP, CONSUMER_NAME, 'COUNT', count, 'STREAMS', STREAM, '>')
}

t.test('an entry that is not an event is reported as a MalformedEntryError', async t => {
  const entryId = String(await redis.client.xadd(STREAM, '*', 'hello', 'world'))
  const { events, errors } = await consume(t)
  await until('the error', async () => errors.length > 0)
  t.same(
    errors.map(({ about }) => about),
    [{ partition: 0, entryId, type: '', attempt: 0, dead: true }]
  )
  t.ok(errors[0]?.error instanceof MalformedEntryError)
  t.same(events, [])
})

t.test('an event whose attempts never finished is reported as an InterruptedError', async t => {
  const entryId = await appendEvent(redis.client, { id: 'poison' })
  await readWithoutAcknowledging(1)
  await redis.client.call('XCLAIM', STREAM, GROUP, CONSUMER_NAME, 0, entryId, 'RETRYCOUNT', 2, 'JUSTID')
  const { events, errors } = await consume(t)
  await until('the error', async () => errors.length > 0)
  t.same(
    errors.map(({ about }) => about),
    [{ partition: 0, entryId, type: 'io.customer.email.opened', attempt: 2, dead: true }]
  )
  const error = errors[0]?.error
  t.ok(error instanceof InterruptedError && error.attempts === 2, String(error))
  t.same(events, [])
})

t.test('entries that were deleted too early are reported as an EntriesDeletedError', async t => {
  const deleted = [await appendEvent(redis.client, { id: 'a' }), await appendEvent(redis.client, { id: 'b' })]
  await appendEvent(redis.client, { id: 'c' })
  await readWithoutAcknowledging(3)
  await redis.client.xdel(STREAM, ...deleted)
  const { events, errors } = await consume(t)
  await until('what is left', async () => events.length > 0)
  t.same(events, ['c'])
  t.same(
    errors.map(({ about }) => about),
    [undefined]
  )
  const error = errors[0]?.error
  t.ok(error instanceof EntriesDeletedError && error.count === 2, String(error))
})

t.test('an error reply of Redis is reported as the error of ioredis, and the call is retried', async t => {
  await appendEvent(redis.client, { id: 'a' })
  const { events, errors } = await consume(t)
  await until('the first event', async () => events.length === 1)
  await redis.client.set('cio:members:crm', 'not a sorted set')
  await until('the error', async () => errors.length > 0)
  await redis.client.del('cio:members:crm')
  t.match(errors[0], { error: { name: 'ReplyError', message: /^WRONGTYPE/ }, about: undefined })
  t.ok(errors[0]?.error instanceof ReplyError)
  await appendEvent(redis.client, { id: 'b' })
  await until('the next event', async () => events.length === 2)
})

t.test('a database that Redis refuses makes the start reject with a ConfigError', async t => {
  const consumer = createConsumer({ redisUrl: `${redis.url}/99`, group: GROUP }, async () => {})
  t.teardown(() => consumer.stop())
  const error = await consumer.start().catch(thrown => thrown)
  t.ok(error instanceof ConfigError && /refuses database 99/.test(error.message), String(error))
})
