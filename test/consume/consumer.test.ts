import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { type ConsumerOptions, createConsumer, type Handler } from '../../src/consume/consumer.ts'
import { appendEvent } from '../helpers/log.ts'
import { flushedRedis, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const GROUP = 'crm'
const STREAM = 'cio:events:{0}'
const DEAD = 'cio:dead:crm'

const redis = await flushedRedis(t)

async function consume(test: Test, handler: Handler, options: Partial<ConsumerOptions> = {}) {
  const consumer = createConsumer(
    {
      redisUrl: redis.url,
      group: GROUP,
      backoff: { firstMs: 5, maxMs: 20 },
      leaseMs: 1000,
      onError: () => {},
      ...options
    } as ConsumerOptions,
    handler
  )
  test.teardown(() => consumer.stop())
  await consumer.start()
  return consumer
}

type Appended = Parameters<typeof appendEvent>[1]
const append = async (...events: readonly Appended[]): Promise<void> => {
  for (const event of events) await appendEvent(redis.client, event)
}
const pending = async (): Promise<number> => Number((await redis.client.xpending(STREAM, GROUP))[0])
const allAcknowledged = () => until('everything is acknowledged', async () => (await pending()) === 0)

/** The dead letters, as fields by name. */
async function deadLetters(): Promise<Record<string, string>[]> {
  const entries = await redis.client.xrange(DEAD, '-', '+')
  return entries.map(([, fields]) => {
    const letter: Record<string, string> = {}
    for (let index = 0; index < fields.length; index += 2)
      letter[String(fields[index])] = fields[index + 1] ?? ''
    return letter
  })
}

t.test(
  'the handler gets the event as it is in the log, which is acknowledged only after the handler resolves',
  async t => {
    let finish = (): void => {}
    let seen: unknown
    await consume(t, (event, { attempt, partition }) => {
      seen = { event, attempt, partition }
      return new Promise<void>(resolve => {
        finish = resolve
      })
    })
    await append({ id: 'a', subject: '4711', data: { metric: 'opened' } })
    await until('the event', async () => seen !== undefined)
    t.match(seen, {
      event: { id: 'a', type: 'io.customer.email.opened', subject: '4711', data: { metric: 'opened' } },
      attempt: 1,
      partition: 0
    })
    t.equal(await pending(), 1)
    finish()
    await allAcknowledged()
  }
)

t.test(
  'events of one customer come in order, one at a time; those of different customers concurrently',
  async t => {
    const order = new Map<string, number[]>()
    const busy = new Set<string>()
    let overlaps = 0
    let most = 0
    await consume(
      t,
      async event => {
        const [person = '', number] = event.id.split('-')
        if (busy.has(person)) overlaps++
        busy.add(person)
        most = Math.max(most, busy.size)
        await sleep(Math.random() * 4)
        order.set(person, [...(order.get(person) ?? []), Number(number)])
        busy.delete(person)
      },
      { concurrency: 5 }
    )
    const people = Array.from({ length: 12 }, (_, index) => `p${index}`)
    for (let number = 0; number < 20; number++) {
      await append(...people.map(person => ({ id: `${person}-${number}`, subject: person })))
    }
    await until('all of them', async () => [...order.values()].flat().length === 240)
    t.equal(overlaps, 0)
    t.equal(most, 5, 'as many concurrently as allowed, and no more')
    for (const numbers of order.values()) {
      t.same(
        numbers,
        numbers.toSorted((a, b) => a - b)
      )
    }
  }
)

t.test('a failing event delays later events of its customer, but not those of others', async t => {
  const done: string[] = []
  await append({ id: 'bad', subject: 'x' }, { id: 'x2', subject: 'x' }, { id: 'y1', subject: 'y' })
  await consume(
    t,
    async (event, { attempt }) => {
      if (event.id === 'bad' && attempt < 4) throw new Error('not now')
      done.push(event.id)
    },
    { backoff: { firstMs: 20, maxMs: 50 } }
  )
  await until('all of them', async () => done.length === 3)
  t.same(done, ['y1', 'bad', 'x2'])
  t.same(await deadLetters(), [])
})

t.test(
  'an event that fails too often becomes a dead letter, and the customer’s next event is handled',
  async t => {
    const attempts: number[] = []
    const reported: unknown[] = []
    const done: string[] = []
    const entry = await appendEvent(redis.client, { id: 'bad', subject: 'x', data: { n: 1 } })
    const startedMs = performance.now()
    await append({ id: 'x2', subject: 'x' })
    await consume(
      t,
      async (event, { attempt }) => {
        if (event.id !== 'bad') return done.push(event.id)
        attempts.push(attempt)
        throw new RangeError('no ada@example.com in the\nCRM')
      },
      { maxAttempts: 3, backoff: { firstMs: 40, maxMs: 1000 }, onError: (_, about) => reported.push(about) }
    )
    await until('the next event', async () => done.length === 1)
    t.same(attempts, [1, 2, 3])
    t.ok(performance.now() - startedMs >= 20 + 40, 'the waits grow')
    const letters = await deadLetters()
    t.match(letters, [
      {
        partition: '0',
        id: entry,
        type: 'io.customer.email.opened',
        reason: 'failed',
        attempts: '3',
        time: /^\d{4}-/
      }
    ])
    t.match(letters[0]?.['error'], /^RangeError: no \S+ in the CRM$/)
    t.notMatch(letters[0]?.['error'], /ada|example/)
    t.match(JSON.parse(letters[0]?.['event'] ?? ''), { id: 'bad', subject: 'x', data: { n: 1 } })
    t.match(reported, [
      { entryId: entry, attempt: 1, dead: false },
      { entryId: entry, attempt: 2, dead: false },
      { entryId: entry, attempt: 3, dead: true }
    ])
    await allAcknowledged()
  }
)

const malformed: readonly (readonly [what: string, fields: readonly string[]])[] = [
  ['has other fields', ['hello', 'world']],
  ['has no event', ['type', 'io.customer.email.opened']],
  ['is not JSON', ['type', 'io.customer.email.opened', 'event', '{"specversion":']],
  ['is not an object', ['type', 'io.customer.email.opened', 'event', '7']],
  ['has no id', ['type', 'io.customer.email.opened', 'event', '{"specversion":"1.0"}']],
  [
    'has two types',
    [
      'type',
      'io.customer.email.opened',
      'event',
      '{"specversion":"1.0","id":"a","source":"/customerio/default","type":"b"}'
    ]
  ]
]
for (const [what, fields] of malformed) {
  t.test(`an entry that ${what} becomes a dead letter unchanged, without an attempt`, async t => {
    const id = await redis.client.xadd(STREAM, '*', ...fields)
    const seen: string[] = []
    await append({ id: 'good' })
    await consume(t, async event => void seen.push(event.id))
    await allAcknowledgedAnd('the dead letter', async () => (await redis.client.xlen(DEAD)) === 1)
    t.same(seen, ['good'])
    t.match(await deadLetters(), [{ id, reason: 'malformed', attempts: '0', fields: JSON.stringify(fields) }])
  })
}

t.test('only the wanted types reach the handler, the others are acknowledged', async t => {
  const seen: string[] = []
  await append(
    { id: 'a', type: 'io.customer.email.opened' },
    { id: 'b', type: 'io.customer.sms.sent' },
    { id: 'c', type: 'io.customer.customer.unsubscribed' },
    { id: 'd', type: 'io.customer.email.clicked' },
    { id: 'e', type: 'io.customer.doctor' }
  )
  await consume(t, async event => void seen.push(event.id), { types: ['email.*', 'customer.unsubscribed'] })
  await allAcknowledgedAnd('the wanted', async () => seen.length >= 3)
  t.same(seen.toSorted(), ['a', 'c', 'd'])
})

t.test('events of the doctor are dropped, unless they are included', async t => {
  const seen: string[] = []
  await append({ id: 'probe', type: 'io.customer.doctor' }, { id: 'real' })
  await consume(t, async event => void seen.push(event.id))
  await consume(t, async event => void seen.push(`asked: ${event.id}`), {
    group: 'all',
    includeDoctorEvents: true
  })
  await until('both groups', async () => seen.length >= 3)
  t.same(seen.toSorted(), ['asked: probe', 'asked: real', 'real'])
})

t.test('two groups each get every event', async t => {
  const seen: string[] = []
  await append({ id: 'a' }, { id: 'b' })
  await consume(t, async event => void seen.push(`crm ${event.id}`))
  await consume(t, async event => void seen.push(`bi ${event.id}`), { group: 'bi' })
  await until('all', async () => seen.length === 4)
  t.same(seen.toSorted(), ['bi a', 'bi b', 'crm a', 'crm b'])
})

t.test('attempts of other members are counted', async t => {
  await append({ id: 'a' })
  await redis.client.xgroup('CREATE', STREAM, GROUP, '0')
  await redis.client.xreadgroup('GROUP', GROUP, 'dead', 'STREAMS', STREAM, '>')
  for (let reads = 0; reads < 2; reads++) {
    await redis.client.xreadgroup('GROUP', GROUP, 'dead', 'STREAMS', STREAM, '0')
  }
  const attempts: number[] = []
  await consume(t, async (_, { attempt }) => {
    attempts.push(attempt)
    throw new Error('no')
  })
  await until('the dead letter', async () => (await redis.client.xlen(DEAD)) === 1)
  t.same(attempts, [4, 5])
  t.match(await deadLetters(), [{ reason: 'failed', attempts: '5' }])
})

t.test(
  'an event that was delivered but never attempted has all its attempts with the next member',
  async t => {
    await append({ id: 'a1', subject: 'a' }, { id: 'a2', subject: 'a' })
    const inFlight: (() => void)[] = []
    const first = await consume(t, () => new Promise<void>(resolve => void inFlight.push(resolve)))
    await until('the first is in flight', async () => inFlight.length === 1)
    t.equal(await pending(), 2)
    const stopped = first.stop()
    for (const finish of inFlight) finish()
    await stopped
    t.equal(await pending(), 1, 'a1 is finished, a2 was not attempted')
    const seen: [string, number][] = []
    await consume(t, async (event, { attempt }) => void seen.push([event.id, attempt]))
    await until('a2', async () => seen.length === 1)
    t.same(seen, [['a2', 1]])
  }
)

/** A second copy of ioredis, as a user's dependency can be. */
function otherIoredis(): typeof import('ioredis') {
  const require = createRequire(import.meta.url)
  const loaded = Object.keys(require.cache).filter(path => path.includes('/node_modules/ioredis/'))
  for (const path of loaded) delete require.cache[path]
  return require('ioredis')
}

for (const [whose, Client] of [
  ['this ioredis', Redis],
  ['another copy of ioredis', otherIoredis().Redis]
] as const) {
  t.test(`a client from ${whose} is duplicated without its key prefix, and stays open`, async t => {
    const own = new Client(redis.port, { keyPrefix: 'mine:', commandTimeout: 5 })
    t.teardown(() => own.disconnect())
    t.equal(own instanceof Redis, Client === Redis)
    const seen: string[] = []
    const consumer = await consume(t, async event => void seen.push(event.id), {
      redisUrl: undefined,
      redis: own
    } as never)
    await append({ id: 'a' })
    await until('a', async () => seen.length === 1)
    await consumer.stop()
    await until('the caller’s client still works', async () =>
      own.ping().then(
        () => true,
        () => false
      )
    )
  })

  t.test(`a client from ${whose} in a database that Redis refuses makes the start reject`, async t => {
    const own = new Client(redis.port, { db: 99 })
    own.on('error', () => {})
    t.teardown(() => own.disconnect())
    const consumer = createConsumer({ redis: own, group: GROUP, onError: () => {} }, async () => {})
    t.teardown(() => consumer.stop())
    await t.rejects(consumer.start(), { name: 'ConfigError', message: /refuses database 99/ })
  })
}

t.test('a consumer that is started while Redis is down joins when Redis is up', async t => {
  const other = await startRedis()
  await other.stop()
  const seen: string[] = []
  const consumer = createConsumer(
    { redisUrl: other.url, group: GROUP, onError: () => {} },
    async event => void seen.push(event.id)
  )
  t.teardown(() => consumer.stop())
  const started = consumer.start()
  await sleep(100)
  const back = await startRedis({}, { port: other.port })
  t.teardown(() => back.stop())
  await started
  await appendEvent(back.client, { id: 'a' })
  await until('a', async () => seen.length === 1)
})

t.test('a consumer that never reached Redis can be stopped', async t => {
  const other = await startRedis()
  await other.stop()
  const consumer = createConsumer({ redisUrl: other.url, group: GROUP, onError: () => {} }, async () => {})
  const started = consumer.start()
  await consumer.stop()
  await started
  t.pass('both resolve')
})

t.test('the Redis permissions in docs/consumers.md are sufficient', async t => {
  const page = readFileSync('docs/consumers.md', 'utf8')
  const listed = /on keys with the prefix: `([^`]*)`, and `(INFO)`/.exec(page)
  const commands = `${listed?.[1]} ${listed?.[2]}`.split(/\s+/).map(command => `+${command.toLowerCase()}`)
  await redis.client.call('ACL', 'SETUSER', 'reader', 'on', '>pass', '~cio:*', '-@all', ...commands)
  const errors: string[] = []
  const seen: string[] = []
  await append({ id: 'bad' }, { id: 'good' })
  await consume(
    t,
    async event => {
      if (event.id === 'bad') throw new Error('the only one')
      seen.push(event.id)
    },
    {
      redisUrl: redis.url.replace('//', '//reader:pass@'),
      maxAttempts: 2,
      onError: error => errors.push(String(error))
    }
  )
  await until('the dead letter', async () => (await redis.client.xlen(DEAD)) === 1)
  await append({ id: 'better' })
  await until('both', async () => seen.length === 2)
  await allAcknowledged()
  t.same(errors, ['Error: the only one', 'Error: the only one'])
})

const refused: readonly (readonly [what: string, options: Record<string, unknown>])[] = [
  ['neither redisUrl nor redis', { redisUrl: undefined }],
  ['a URL of another kind', { redisUrl: 'http://user:hunter2@127.0.0.1' }],
  ['an empty group', { group: '' }],
  ['a group with a colon', { group: 'a:b' }],
  ['no attempts', { maxAttempts: 0 }],
  ['a concurrency of a half', { concurrency: 0.5 }],
  ['no group', { group: undefined }],
  ['no lease', { leaseMs: 0 }],
  ['a lease in text', { leaseMs: '10000' }],
  ['to wait for handlers without end', { stopTimeoutMs: Number.POSITIVE_INFINITY }],
  ['to wait for handlers longer than a timer can', { stopTimeoutMs: 30 * 24 * 3600 * 1000 }],
  ['a backoff without its longest pause', { backoff: { firstMs: 500 } }],
  ['a misspelt backoff', { backoff: { first: 500, max: 30_000 } }],
  ['a backoff without end', { backoff: { firstMs: 500, maxMs: Number.POSITIVE_INFINITY } }],
  ['to begin elsewhere', { from: 'latest' }],
  ['types that are no list', { types: 'email.*' }],
  ['no types', { types: [] }],
  ['types that are not globs', { types: ['email/*'] }]
]
for (const [what, options] of refused) {
  t.test(`${what} is refused, without a secret in the message`, async t => {
    try {
      createConsumer({ redisUrl: redis.url, group: GROUP, ...options } as ConsumerOptions, async () => {})
      t.fail('not refused')
    } catch (error) {
      t.type(error, TypeError)
      t.notMatch(String(error), /hunter2/)
    }
  })
}

t.test('a consumer without a handler is refused: each of its events would become a dead letter', async t => {
  const createUntyped = createConsumer as (options: object) => unknown
  t.throws(() => createUntyped({ redisUrl: redis.url, group: GROUP }), {
    name: 'TypeError',
    message: 'the second argument is the handler, a function'
  })
})

async function allAcknowledgedAnd(what: string, ask: () => Promise<boolean>): Promise<void> {
  await until(what, ask)
  await allAcknowledged()
}
