import { Cluster } from 'ioredis'
import t, { type Test } from 'tap'
import { createConsumer } from '../../src/consume/consumer.ts'
import { redeliver } from '../../src/group/redeliver.ts'
import { startCluster } from '../helpers/cluster.ts'
import { appendEvent } from '../helpers/log.ts'
import { type MemberProcess, startMember } from '../helpers/member.ts'
import { flushedRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const GROUP = 'crm'
const STREAM = 'cio:events:{0}'
const DEAD = 'cio:dead:crm'

const redis = await flushedRedis(t)

const pending = async (): Promise<number> => Number((await redis.client.xpending(STREAM, GROUP))[0])

async function member(test: Test, orders: Record<string, unknown>): Promise<MemberProcess> {
  const started = await startMember({ redisUrl: redis.url, group: GROUP, leaseMs: 1000, ...orders })
  test.teardown(() => started.kill('SIGKILL'))
  return started
}

const did = (what: 'began' | 'done', members: readonly MemberProcess[]): string[] =>
  members.flatMap(each =>
    each.lines().flatMap(line => (line[what] === undefined ? [] : [String(line[what])]))
  )

t.test(
  'events of a killed member are taken over: none is lost, and the order per customer is kept',
  async t => {
    const first = await member(t, { name: 'first', workMs: 20, concurrency: 3 })
    const second = await member(t, { name: 'second', workMs: 1 })
    const people = Array.from({ length: 5 }, (_, index) => `p${index}`)
    const all: string[] = []
    for (let number = 0; number < 20; number++) {
      for (const person of people) {
        const id = `${person}-${number}`
        all.push(id)
        await appendEvent(redis.client, { id, subject: person })
      }
    }
    await until('the first is at work', async () => did('done', [first]).length >= 6)
    first.kill('SIGKILL')
    t.match(await first.ended, { signal: 'SIGKILL' })
    const killedAtMs = performance.now()
    await until('the second goes on', async () => did('done', [second]).length > 0)
    t.ok(performance.now() - killedAtMs < 8000, 'after the lease of 1 s, not after the usual 10 s')
    const finished = (): Set<string> => new Set(did('done', [first, second]))
    await until('everything is done', async () => finished().size === all.length)
    await until('everything is acknowledged', async () => (await pending()) === 0)

    const twice = did('done', [first, second]).length - all.length
    t.ok(twice <= 3 + 3, `${twice} were done twice: at most what was being done or acknowledged at the kill`)
    for (const person of people) {
      const numbers = did('done', [second])
        .filter(id => id.startsWith(`${person}-`))
        .map(id => Number(id.split('-')[1]))
      t.same(
        numbers,
        numbers.toSorted((a, b) => a - b),
        `${person} in order`
      )
    }
  }
)

t.test('an event that kills its members becomes a dead letter, and the others are handled', async t => {
  await appendEvent(redis.client, { id: 'poison', subject: 'x' })
  await appendEvent(redis.client, { id: 'x2', subject: 'x' })
  const members: MemberProcess[] = []
  for (let deaths = 0; deaths < 2; deaths++) {
    // The lease of the killed member must expire first.
    const victim = await member(t, { poison: 'poison', leaseMs: 300, maxAttempts: 2 })
    members.push(victim)
    t.match(await victim.ended, { signal: 'SIGKILL' })
  }
  const survivor = await member(t, { poison: 'poison', leaseMs: 300, maxAttempts: 2 })
  await until('the next event', async () => did('done', [survivor]).includes('x2'))
  t.same(did('began', members), ['poison', 'poison'])
  const [letter] = await redis.client.xrange(DEAD, '-', '+')
  const fields = letter?.[1] ?? []
  t.equal(fields[fields.indexOf('reason') + 1], 'interrupted')
  t.equal(fields[fields.indexOf('attempts') + 1], '2')
  t.match(fields[fields.indexOf('event') + 1], /"id":"poison"/)
})

t.test('a dead letter that kills its members when it is replayed becomes a dead letter again', async t => {
  const id = await appendEvent(redis.client, { id: 'poison', subject: 'x' })
  await redis.client.xgroup('CREATE', STREAM, GROUP, '$')
  t.same(await redeliver(redis.client, 'cio:', GROUP, 0, [id]), [id])
  const members: MemberProcess[] = []
  for (let deaths = 0; deaths < 2; deaths++) {
    const victim = await member(t, { poison: 'poison', leaseMs: 300, maxAttempts: 2 })
    members.push(victim)
    t.match(await victim.ended, { signal: 'SIGKILL' })
  }
  members.push(await member(t, { poison: 'poison', leaseMs: 300, maxAttempts: 2 }))
  await until('the dead letter', async () => (await redis.client.xlen(DEAD)) === 1)
  t.same(did('began', members), ['poison', 'poison'])
})

t.test(
  'on SIGTERM a member finishes events in flight, leaves the others pending, and ends by the signal',
  async t => {
    for (const id of ['a', 'b', 'c']) await appendEvent(redis.client, { id, subject: 'one' })
    const ending = await member(t, { signals: true, workMs: 300 })
    await until('it is at work', async () => did('began', [ending]).length === 1)
    ending.kill('SIGTERM')
    t.match(await ending.ended, { signal: 'SIGTERM' })
    t.same(did('done', [ending]), ['a'])
    t.equal(await pending(), 2)
    t.same(await redis.client.keys('cio:lease:*'), [], 'no member has to wait until the lease expires')
    t.same(await redis.client.keys('cio:members:*'), [])
  }
)

t.test('a member that was suspended for longer than its lease takes no entry from its successor', async t => {
  const paused = await member(t, { name: 'paused' })
  await appendEvent(redis.client, { id: 'a' })
  await until('the first has it', async () => did('done', [paused]).length === 1)
  await until('it is acknowledged', async () => (await pending()) === 0)
  process.kill(paused.pid, 'SIGSTOP')
  const successor = await member(t, { name: 'successor' })
  await until('the lease has passed on', async () =>
    (await redis.client.get('cio:lease:{0}:crm'))?.startsWith('successor')
  )
  process.kill(paused.pid, 'SIGCONT')
  for (let number = 0; number < 50; number++) await appendEvent(redis.client, { id: `b${number}` })
  await until('all of them', async () => did('done', [paused, successor]).length === 51)
  t.equal(new Set(did('done', [paused, successor])).size, 51, 'each once')
})

t.test('later events are not missed when Redis is emptied while a handler runs', async t => {
  const seen: string[] = []
  const consumer = createConsumer({ redisUrl: redis.url, group: GROUP, leaseMs: 1000 }, async event => {
    seen.push(event.id)
    if (event.id === 'last of old') await redis.client.flushall()
  })
  t.teardown(() => consumer.stop())
  await consumer.start()
  await appendEvent(redis.client, { id: 'last of old' })
  await until('it is emptied', async () => seen.length === 1 && (await redis.client.dbsize()) <= 2)
  for (const id of ['new 1', 'new 2']) await appendEvent(redis.client, { id })
  await until('the new ones', async () => seen.includes('new 2'))
  t.same(seen.toSorted(), ['last of old', 'new 1', 'new 2'])
})

t.test(
  'on a Cluster, with the client of the caller, partitions are discovered and dead letters kept',
  async t => {
    const cluster = await startCluster()
    t.teardown(() => cluster.stop())
    const client = new Cluster([...cluster.address.nodes])
    t.teardown(() => client.disconnect())
    await client.set('cio:partitions', 6)
    const seen: string[] = []
    const partitions = new Set<number>()
    const consumer = createConsumer(
      {
        redis: client,
        group: GROUP,
        maxAttempts: 2,
        backoff: { firstMs: 5, maxMs: 10 },
        leaseMs: 1000,
        onError: () => {}
      },
      async (event, { partition }) => {
        if (event.id === 'bad') throw new Error('no')
        partitions.add(partition)
        seen.push(event.id)
      }
    )
    t.teardown(() => consumer.stop())
    await consumer.start()
    const all = Array.from({ length: 200 }, (_, index) => `e${index}`)
    await Promise.all([...all, 'bad'].map(id => appendEvent(client, { id }, { partitions: 6 })))
    await until('all of them', async () => seen.length >= 200)
    await until('the dead letter', async () => (await client.xlen(DEAD)) === 1)
    t.same(seen.toSorted(), all.toSorted(), 'each once')
    t.equal(partitions.size, 6)
    await consumer.stop()
    await until('the caller’s client still works', async () => (await client.get('cio:partitions')) === '6')
  }
)

t.test(
  'an entry whose dead letter cannot be added stays pending, also at the stop, until it can be added',
  async t => {
    // The key of the dead letters is not a stream.
    await redis.client.set(DEAD, 'in the way')
    await appendEvent(redis.client, { id: 'bad' })
    const errors: string[] = []
    const consume = async () => {
      const consumer = createConsumer(
        {
          redisUrl: redis.url,
          group: GROUP,
          maxAttempts: 1,
          backoff: { firstMs: 5, maxMs: 10 },
          stopTimeoutMs: 50,
          onError: error => errors.push(String(error))
        },
        () => Promise.reject(new Error('no'))
      )
      t.teardown(() => consumer.stop())
      await consumer.start()
      return consumer
    }
    const first = await consume()
    await until('it was tried', async () => errors.some(error => error.includes('WRONGTYPE')))
    await first.stop()
    t.equal(await pending(), 1)
    await redis.client.del(DEAD)
    await consume()
    await until('it is kept', async () => (await redis.client.xlen(DEAD)) === 1)
    await until('and acknowledged', async () => (await pending()) === 0)
  }
)
