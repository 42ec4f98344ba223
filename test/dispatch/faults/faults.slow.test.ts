import t, { type Test } from 'tap'
import { consumersFile, httpConsumer, natsConsumer } from '../../helpers/consumers-file.ts'
import { startMember } from '../../helpers/member.ts'
import { startNats } from '../../helpers/nats.ts'
import { runCommand, startServiceProcess } from '../../helpers/process.ts'
import { startRabbit } from '../../helpers/rabbitmq.ts'
import { startRedis } from '../../helpers/redis.ts'
import { temporaryFolder, until } from '../../helpers/server.ts'
import { KEY } from '../../helpers/sign.ts'
import { type Arrived, bindQueue, handledBy, inQueue, inStream, problemOf } from './arrivals.ts'
import { deliveries, sendAll } from './deliveries.ts'
import { fails, hangs, isRejected, leaves, moody, resets, startEndpoint } from './endpoint.ts'
import { createRepeats } from './repeats.ts'

/*
 * Everything at once: consumers of all four kinds, receivers that misbehave, brokers that are down, dispatchers that
 * are killed. `npm run test:republish` runs it at full size: 20,000 deliveries, brokers down for a minute.
 */
const EVENTS = Number(process.env['FAULT_EVENTS'] ?? 4000)
const AWAY_MS = Number(process.env['FAULT_AWAY_MS'] ?? 5000)
/** Deliveries come before, while and after the brokers are away. */
const SENDING_MS = 2 * AWAY_MS
const PATIENCE_MS = Math.max(600_000, EVENTS * 100)

t.setTimeout(2 * PATIENCE_MS + 1_800_000)

t.test(
  'brokers stop and start, receivers misbehave, dispatchers are killed: no consumer misses an event',
  async t => {
    const redis = await startRedis({ appendonly: 'yes' })
    const repeats = createRepeats(redis.client)
    const [natsFolder, rabbitFolder] = [temporaryFolder(), temporaryFolder()]
    let nats = await startNats({ folder: natsFolder })
    let rabbit = await startRabbit({ folder: rabbitFolder })
    const endpoints = {
      good: await startEndpoint(() => undefined),
      some: await startEndpoint(() => undefined),
      moody: await startEndpoint(moody),
      rejecting: await startEndpoint((_count, id) => (isRejected(id) ? fails : undefined)),
      hanging: await startEndpoint(() => hangs),
      resetting: await startEndpoint(() => resets),
      gone: await startEndpoint(() => leaves)
    }
    const push = (name: keyof typeof endpoints, changes: Record<string, unknown> = {}) =>
      httpConsumer(name, endpoints[name].receiver.url, {
        retryDelayMs: 100,
        maxRetryDelayMs: 1000,
        ...changes
      })
    await bindQueue(rabbit.url, 'work')
    await bindQueue(rabbit.url, 'work-some')
    const amqp = { type: 'amqp', url: rabbit.url }
    const patient = { maxAttempts: 100, retryDelayMs: 1000, maxRetryDelayMs: 20_000 }
    const env = {
      REDIS_URL: redis.url,
      LOG_LEVEL: 'warn',
      CIO_WEBHOOK_SECRET: KEY,
      CONSUMERS_FILE: consumersFile(
        push('good'),
        push('some', { types: ['sms.*'] }),
        // As one of thirty requests hangs, an adapted concurrency stays at a few.
        push('moody', { timeoutMs: 3000, maxAttempts: 60, concurrency: 20 }),
        push('rejecting', { maxAttempts: 2, backlog: 200 }),
        push('hanging', { ...patient, timeoutMs: 1000, concurrency: 4, backlog: 20 }),
        push('resetting', { ...patient, backlog: 50 }),
        push('gone'),
        natsConsumer('bus', nats.url, { stream: 'ALL', subjectPrefix: 'all' }),
        natsConsumer('bus-some', nats.url, { stream: 'SOME', subjectPrefix: 'some', types: ['sms.*'] }),
        { ...amqp, name: 'work', exchange: 'work' },
        { ...amqp, name: 'work-some', exchange: 'work-some', types: ['sms.*'] }
      )
    }
    const services = [await startServiceProcess(env), await startServiceProcess(env)]
    const member = (group: string, name: string, types?: readonly string[]) =>
      startMember({ redisUrl: redis.url, group, name, types, tellEvents: true })
    const library = [await member('library', 'first'), await member('library', 'second')]
    const librarySome = [await member('library-some', 'only', ['sms.*'])]
    t.teardown(async () => {
      for (const each of [...library, ...librarySome]) each.kill('SIGKILL')
      for (const service of services) {
        service.process.kill('SIGTERM')
        await service.ended
      }
      for (const { receiver } of Object.values(endpoints)) await receiver.stop()
      await Promise.all([nats.stop(), rabbit.stop()])
      await redis.stop()
    })

    const all = deliveries(EVENTS)
    const everything = all.map(({ id }) => id)
    const texts = all.filter(({ kind }) => kind.startsWith('sms.')).map(({ id }) => id)
    const brokers = ['bus', 'bus-some', 'work', 'work-some']
    let sent = 0
    const share = (part: number) => until('its turn', async () => sent >= EVENTS * part, PATIENCE_MS)

    /** Kills the replica that delivers to a consumer, and notes the events that it had in flight. */
    const killDispatcher = async (consumer: string): Promise<void> => {
      const holder = await until('a holder', () =>
        redis.client.get(`cio:lease:{0}:${consumer}`).then(h => h ?? false)
      )
      const index = services.findIndex(({ process }) => holder.includes(`:${process.pid}`))
      const victim = services[index]
      if (victim === undefined) throw new Error(`no replica has ${consumer}: ${holder}`)
      victim.process.kill('SIGKILL')
      await victim.ended
      await repeats.note([...Object.keys(endpoints), ...brokers], 'dispatcher killed')
      services[index] = await startServiceProcess(env)
    }
    const faults = async (): Promise<void> => {
      await share(0.1)
      await killDispatcher('good')
      await share(0.2)
      t.match(await redis.client.get('cio:lease:{0}:library'), /^first/)
      library[0]?.kill('SIGKILL')
      await library[0]?.ended
      await repeats.note(['library'], 'member killed')
      await share(0.25)
      await Promise.all([nats.stop('SIGKILL'), rabbit.stop('SIGKILL')])
      await repeats.note(brokers, 'broker killed')
      await new Promise(resolve => setTimeout(resolve, AWAY_MS))
      const before = await redis.client.xpending('cio:events:{0}', 'work')
      nats = await startNats({ folder: natsFolder, port: nats.port })
      rabbit = await startRabbit({ folder: rabbitFolder, port: rabbit.port })
      // While it catches up, so that a whole batch is in flight.
      await until(
        'it goes on',
        async () => {
          const now = await redis.client.xpending('cio:events:{0}', 'work')
          return now[1] !== before[1]
        },
        PATIENCE_MS
      )
      await killDispatcher('work')
    }
    const startedMs = performance.now()
    const urlOf = (attempt: number): string => services[attempt % services.length]?.url ?? ''
    const [refused] = await Promise.all([sendAll(all, SENDING_MS, urlOf, count => (sent = count)), faults()])
    t.comment(`${EVENTS} events sent, ${refused} attempts refused or cut off meanwhile`)

    const complete = (name: string, wanted: readonly string[], got: () => Promise<readonly Arrived[]>) =>
      t.test(`${name} has everything it asked for and nothing else, all of it as promised`, async t => {
        const arrived = await untilAll(wanted, got)
        t.same(
          arrived.flatMap(each => problemOf(each) ?? []),
          []
        )
        judge(
          t,
          name,
          wanted,
          arrived.map(({ id }) => id)
        )
      })
    const completePushes = (name: keyof typeof endpoints, wanted: readonly string[]) =>
      t.test(`${name} has everything it asked for and nothing else, every push as promised`, async t => {
        const { taken, problems } = endpoints[name]
        await untilAll(wanted, async () => taken.map(id => ({ id, event: '' })))
        t.same(problems, [])
        judge(t, name, wanted, taken)
      })
    const judge = (t: Test, name: string, wanted: readonly string[], ids: readonly string[]): void => {
      const [asked, had] = [new Set(wanted), new Set(ids)]
      t.same(
        wanted.filter(id => !had.has(id)),
        [],
        'nothing is missing'
      )
      t.same(
        ids.filter(id => !asked.has(id)),
        [],
        'nothing else came'
      )
      const explained = repeats.explain(name, ids)
      t.equal(explained.get('unexplained') ?? 0, 0, 'every repeated event was in flight at a kill')
      const causes = [...explained].map(([cause, count]) => `${count} ${cause}`)
      t.comment(`${name}: ${had.size} events, ${ids.length - had.size} more than once. ${causes.join('; ')}`)
    }

    await complete('library', everything, async () => handledBy(library))
    await complete('library-some', texts, async () => handledBy(librarySome))
    await completePushes('good', everything)
    await completePushes('some', texts)
    await completePushes('moody', everything)
    await completePushes(
      'rejecting',
      everything.filter(id => !isRejected(id))
    )
    await complete('bus', everything, () => inStream(nats.url, 'ALL'))
    await complete('bus-some', texts, () => inStream(nats.url, 'SOME'))
    await complete('work', everything, () => inQueue(rabbit.url, 'work'))
    await complete('work-some', texts, () => inQueue(rabbit.url, 'work-some'))

    // If only rejected events are left, the receiver counts as down, and its failures are no attempts. Events go on as in
    // production: each one that it takes shows that it is up.
    const more = deliveries(EVENTS + 900)
      .slice(EVENTS)
      .filter(({ id }) => !isRejected(id))
    const later: string[] = []
    const sendAnother = async (): Promise<void> => {
      const next = more[later.length]
      if (next === undefined) return
      await sendAll([next], 0, urlOf, () => {})
      later.push(next.id)
    }
    await t.test(
      'the log has each event once, and what a consumer rejects is a dead letter of it',
      async t => {
        t.equal(await redis.client.xlen('cio:events:{0}'), EVENTS)
        const letters = async (): Promise<Arrived[]> => {
          await sendAnother()
          return (await redis.client.xrange('cio:dead:rejecting', '-', '+')).map(([, fields]) => {
            const event = fields[fields.indexOf('event') + 1] ?? '{}'
            return { id: JSON.parse(event).id, event }
          })
        }
        const rejected = everything.filter(isRejected)
        judge(
          t,
          'rejecting',
          rejected,
          (await untilAll(rejected, letters)).map(({ id }) => id)
        )
      }
    )

    t.ok(
      await redis.client.hexists('cio:consumer:gone', 'disabledAtMs'),
      'the consumer that answered 410 is disabled'
    )
    for (const name of ['hanging', 'resetting', 'gone'] as const) endpoints[name].recover()
    t.equal(await runCommand(['consumers', 'enable', 'gone'], env).ended, 0)
    for (const name of ['hanging', 'resetting', 'gone'] as const) {
      await completePushes(name, [...everything, ...later])
    }
    t.comment(`${Math.round((performance.now() - startedMs) / 1000)} s from the first delivery to the end`)
  }
)

/** All arrivals, as soon as they are complete, or after a long time. */
async function untilAll(
  wanted: readonly string[],
  got: () => Promise<readonly Arrived[]>
): Promise<readonly Arrived[]> {
  for (const deadline = Date.now() + PATIENCE_MS; ; ) {
    const arrived = await got()
    const had = new Set(arrived.map(({ id }) => id))
    if (wanted.every(id => had.has(id)) || Date.now() > deadline) return arrived
    await new Promise(resolve => setTimeout(resolve, 500))
  }
}
