import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
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
import { rejectUnknownOptions } from '../../src/consume/options.ts'
import { CONSUMER_NAME } from '../../src/group/fenced-read.ts'
import { appendEvent } from '../helpers/log.ts'
import { flushedRedis, startRedis } from '../helpers/redis.ts'
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

t.test('what onError throws or rejects with is ignored', async t => {
  const unhandled: unknown[] = []
  const note = (error: unknown): void => void unhandled.push(error)
  process.on('unhandledRejection', note)
  t.teardown(() => process.off('unhandledRejection', note))
  const fails = (): never => {
    throw new Error('the alert could not be sent')
  }
  for (const onError of [fails, async () => fails()]) {
    await redis.client.flushall()
    await appendEvent(redis.client, { id: 'a' })
    let done = false
    const consumer = createConsumer(
      { redisUrl: redis.url, group: GROUP, backoff: { firstMs: 5, maxMs: 20 }, onError },
      async (_, { attempt }) => {
        if (attempt === 1) throw new Error('not now')
        done = true
      }
    )
    t.teardown(() => consumer.stop())
    await consumer.start()
    await until('the second attempt', async () => done)
    await consumer.stop()
  }
  t.same(unhandled, [])
})

t.test('an error whose name is not a string counts as a failed attempt', async t => {
  await appendEvent(redis.client, { id: 'a' })
  const consumer = createConsumer(
    { redisUrl: redis.url, group: GROUP, maxAttempts: 1, onError: () => {} },
    async () => {
      throw Object.assign(new Error('no'), { name: 42 })
    }
  )
  t.teardown(() => consumer.stop())
  await consumer.start()
  await until('the dead letter', async () => (await redis.client.xlen(`cio:dead:${GROUP}`)) === 1)
})

t.test('misspelt options throw, and the nearest option is named', async t => {
  const rows = [
    [{ onerror: () => {} }, 'unknown option "onerror": did you mean onError?'],
    [{ maxAttempt: 3 }, 'unknown option "maxAttempt": did you mean maxAttempts?'],
    [{ stopTimeout: 3 }, 'unknown option "stopTimeout": did you mean stopTimeoutMs?'],
    [{ key_prefix: 'x:' }, 'unknown option "key_prefix": did you mean prefix?'],
    [{ zzz: 1 }, /^unknown option "zzz": the options are group, redisUrl, redis, name, /]
  ] as const
  for (const [extra, message] of rows) {
    const options = { redisUrl: redis.url, group: GROUP, ...extra }
    t.throws(() => createConsumer(options, async () => {}), { name: 'TypeError', message })
  }
  t.throws(() => createConsumer({ redisUrl: redis.url, group: GROUP, types: ['email'] }, async () => {}), {
    name: 'TypeError',
    message: '"email" matches no event: a type is <object_type>.<metric>: did you mean email.*?'
  })
})

t.test('every option in docs/consumers.md is known', async t => {
  const [, table = ''] = readFileSync('docs/consumers.md', 'utf8').split('## Options\n')
  const rows = (table.trim().split('\n\n')[0] ?? '').split('\n').map(row => row.split('|')[1] ?? '')
  const names = rows.flatMap(cell => [...cell.matchAll(/`(\w+)/g)].map(([, name = '']) => name))
  t.equal(names.length, 17)
  for (const name of names) t.doesNotThrow(() => rejectUnknownOptions({ [name]: 1 }), name)
})

t.test(
  'without onError, a Redis that is down is printed once with its cause, and that it works again',
  async t => {
    const own = await startRedis()
    const printed = t.capture(console, 'error')
    const lines = (): string[] => printed().map(({ args }) => String(args[0]))
    const all: string[] = []
    const next = (what: string, pattern: RegExp) =>
      until(what, async () => {
        all.push(...lines())
        return all.some(line => pattern.test(line))
      })
    const consumer = createConsumer({ redisUrl: own.url, group: GROUP, leaseMs: 1000 }, async () => {})
    t.teardown(() => consumer.stop())
    await consumer.start()
    await own.stop('SIGKILL')
    await next('the cause', /ECONNREFUSED/)
    await sleep(1000)
    const again = await startRedis({}, { port: own.port })
    t.teardown(() => again.stop('SIGKILL'))
    await next('recovery', /works again/)
    t.match(
      all.filter(line => !/connection lost|ECONNRESET/.test(line)),
      [
        `cio-webhook consumer crm: cannot reach Redis at 127.0.0.1:${own.port}: ECONNREFUSED (nothing listens at this address); events wait in the log until it is back`,
        /^cio-webhook consumer crm: Redis works again after \d+ s$/
      ]
    )
    t.ok(all.length <= 4, all.join('\n'))
    // Before its Redis, whose end it would print during the next test.
    await consumer.stop()
  }
)

t.test(
  'without onError, a failing handler is printed once, each dead letter too, and no message',
  async t => {
    const printed = t.capture(console, 'error')
    const ids = [await appendEvent(redis.client, { id: 'a' }), await appendEvent(redis.client, { id: 'b' })]
    const failure = Object.assign(new Error('ada@example.com'), { code: 'ECONNRESET' })
    const consumer = createConsumer(
      { redisUrl: redis.url, group: GROUP, maxAttempts: 3, backoff: { firstMs: 1, maxMs: 1 } },
      () => Promise.reject(failure)
    )
    t.teardown(() => consumer.stop())
    await consumer.start()
    await until('both dead letters', async () => (await redis.client.xlen('cio:dead:crm')) === 2)
    await consumer.stop()
    const lines = printed().map(({ args }) => String(args[0]))
    const dead = lines.filter(line => line.endsWith('attempt 3, now a dead letter'))
    t.equal(lines.length, 3, lines.join('\n'))
    t.same(dead.length, ids.length)
    t.ok(
      lines.every(line =>
        line.startsWith('cio-webhook consumer crm: Error ECONNRESET: io.customer.email.opened ')
      )
    )
  }
)
