import t from 'tap'
import type { PushQueue } from '../../../src/dispatch/http/push-queue.ts'
import { answers, startReceiver } from '../../helpers/receiver.ts'
import { until } from '../../helpers/server.ts'
import { ids, idsAt, openConsumer, push, untilDone, waiting } from './open-consumer.ts'

t.setTimeout(400_000)

const delivered = (outcomes: readonly string[]): number =>
  outcomes.filter(outcome => outcome === 'delivered').length

/** The first pause of events that are postponed then: long enough on a busy machine. */
const TIME_TO_POSTPONE_MS = 4000
/** The receiver is probed after one, three, nine … pauses, at most 30 s each. */
const RECOVERY_MS = 100_000

/** Their next attempts are minutes later. */
async function postponeAll({ queue }: PushQueue): Promise<void> {
  for (const job of await queue.getDelayed()) await job.changeDelay(300_000)
}

t.test(
  'while a consumer is down, its events stay in the log and few are queued; then all arrive',
  async t => {
    const { receiver, append, outcomes, queue, dead, redis } = await push(t, answers(503), {
      maxAttempts: 12,
      retryDelayMs: 400,
      maxRetryDelayMs: 60_000
    })
    await append(...ids('down', 300))
    await until('it is down', async () => outcomes.length >= 10)
    await new Promise(resolve => setTimeout(resolve, 300))
    // Ten in flight, and one more for each of the first nine that failed. On a busy machine, some are retried by now.
    const sent = new Set(idsAt(receiver)).size
    t.ok(sent <= 20, `${sent} events sent: those in flight when it went down`)
    t.ok((await queue.outstanding()).count <= 10, 'as many as in flight')
    await until('each event is in one place', async () => {
      const { lag, pending } = await waiting(redis)
      return lag + pending + (await queue.outstanding()).count === 300
    })
    const requests = receiver.requests.length
    await new Promise(resolve => setTimeout(resolve, 2000))
    // In two seconds, each of the ten queued events is retried twice, and there are three probes.
    t.ok(
      receiver.requests.length - requests <= 25,
      `${receiver.requests.length - requests} probes and retries`
    )

    receiver.behave(answers(200))
    const startedMs = performance.now()
    await untilDone(redis, queue, RECOVERY_MS)
    t.ok(performance.now() - startedMs < 20_000, 'soon after it is back')
    t.equal(delivered(outcomes), 300)
    t.equal(new Set(idsAt(receiver)).size, 300)
    t.equal(await dead.count('crm'), 0)
  }
)

t.test('a consumer whose connections are refused is down after few requests, and recovers', async t => {
  const { receiver, append, outcomes, queue, redis, settings } = await push(t, answers(200), {
    retryDelayMs: 300,
    maxRetryDelayMs: 60_000
  })
  await append('before')
  await untilDone(redis, queue, RECOVERY_MS)
  await receiver.stop()
  await append(...ids('down', 100))
  await until('it is down', async () => outcomes.length >= 3)
  await new Promise(resolve => setTimeout(resolve, 200))
  t.ok((await queue.outstanding()).count <= 2)
  const again = await startReceiver(answers(200), Number(new URL(settings.url).port))
  t.teardown(() => again.stop())
  await untilDone(redis, queue, RECOVERY_MS)
  t.equal(delivered(outcomes), 101)
})

t.test(
  'events that failed before the outage are sent first after it, and without the rest of their pause',
  async t => {
    const { receiver, append, outcomes, queue, redis } = await push(t, answers(503), {
      concurrency: 3,
      retryDelayMs: TIME_TO_POSTPONE_MS,
      maxRetryDelayMs: 60_000,
      maxAttempts: 12
    })
    await append(...ids('down', 5))
    await until('all are queued', async () => (await queue.outstanding()).count === 5)
    await postponeAll(queue)
    await append(...ids('later', 20))
    receiver.behave(answers(200))
    await untilDone(redis, queue, RECOVERY_MS)
    t.equal(delivered(outcomes), 25)
    const successes = idsAt(receiver).slice(-25)
    t.match(successes[0], /^later/, 'the probe')
    t.same(
      successes.slice(1, 6).map(id => id.replace(/-.*/, '')),
      Array(5).fill('down')
    )
  }
)

t.test('a consumer that is down and gets no events is probed with a queued one', async t => {
  const { receiver, append, outcomes, queue, redis } = await push(t, answers(503), {
    retryDelayMs: TIME_TO_POSTPONE_MS,
    maxRetryDelayMs: 60_000,
    maxAttempts: 12
  })
  await append(...ids('down', 5))
  await until('all are queued', async () => (await queue.outstanding()).count === 5)
  await postponeAll(queue)
  const before = receiver.requests.length
  await until('a probe', async () => receiver.requests.length > before, RECOVERY_MS)
  const [job] = await queue.queue.getDelayed()
  t.equal(job?.attemptsMade, 0, 'which does not count')
  receiver.behave(answers(200))
  await untilDone(redis, queue, RECOVERY_MS)
  t.equal(delivered(outcomes), 5)
  t.equal(idsAt(receiver).slice(-5).length, new Set(idsAt(receiver).slice(-5)).size, 'each once')
})

t.test('429 with retry-after holds all events for that time', async t => {
  let limitedAtMs = 0
  let early = 0
  const { append, outcomes, queue, redis } = await push(
    t,
    (_request, response, count) => {
      if (count === 5) {
        limitedAtMs = performance.now()
        response.writeHead(429, { 'retry-after': '1' }).end()
        return
      }
      const sinceMs = performance.now() - limitedAtMs
      if (limitedAtMs > 0 && sinceMs < 900) early++
      setTimeout(() => response.writeHead(200).end(), 30)
    },
    { concurrency: 2, maxRetryDelayMs: 60_000 }
  )
  await append(...ids('event', 40))
  await untilDone(redis, queue, RECOVERY_MS)
  t.ok(early <= 2, `${early} early ones: at most those that were in flight`)
  t.equal(delivered(outcomes), 40)
})

t.test('retry-after is honoured, up to the longest delay', async t => {
  const { receiver, append, outcomes } = await push(
    t,
    (_request, response, count) => {
      if (count === 1) response.writeHead(503, { 'retry-after': '86400' }).end()
      else response.writeHead(200).end()
    },
    { retryDelayMs: 10, maxRetryDelayMs: 700 }
  )
  await append('later')
  await until('delivered', async () => outcomes.includes('delivered'))
  const [first, second] = receiver.requests
  t.ok(first !== undefined && second !== undefined && second.atMs - first.atMs >= 650)
})

t.test('two replicas share the partitions, and what one leaves the other delivers', async t => {
  const { append, receiver, outcomes, redis, queue, settings, consumer } = await push(t, answers(200))
  await redis.client.set('cio:partitions', '2')
  const second = await openConsumer(redis, settings)
  t.teardown(() => second.close())
  await append(...ids('event', 50))
  await untilDone(redis, queue, RECOVERY_MS)
  await consumer.close()
  await append(...ids('after', 50))
  await untilDone(redis, queue, RECOVERY_MS)
  t.equal(new Set(idsAt(receiver)).size, 100)
  t.equal(receiver.requests.length, 100)
  t.equal(delivered(outcomes) + delivered(second.outcomes), 100)
})

t.test(
  'a consumer that refuses single events is not down: others are sent, refused ones become dead letters',
  async t => {
    const { receiver, append, dead, queue, redis } = await push(t, answers(422), {
      concurrency: 2,
      maxAttempts: 2,
      retryDelayMs: 200,
      maxRetryDelayMs: 60_000
    })
    await append(...ids('refused', 20))
    await until('all are dead letters', async () => (await dead.count('crm')) === 20)
    t.equal(receiver.requests.length, 40, 'each attempt counts')
    receiver.behave(answers(200))
    await append('good')
    await untilDone(redis, queue, RECOVERY_MS)
    t.equal(receiver.requests.length, 41)
  }
)

t.test('events that fail again after an outage keep the pauses between their further attempts', async t => {
  const { receiver, append, outcomes, queue, dead } = await push(t, answers(503), {
    retryDelayMs: 2000,
    maxRetryDelayMs: 60_000,
    maxAttempts: 12
  })
  await append(...ids('down', 40))
  await until('it is down', async () => outcomes.length >= 10)
  const many = ids('more', 200)
  await queue.queue.addBulk(
    many.map((id, index) => ({
      name: 'event',
      data: {
        id,
        source: 'default',
        type: 'io.customer.email.sent',
        event: '{}',
        position: `0-1-${index}`,
        attemptsBefore: 1,
        lastAttempts: [`1 ${Date.now()} 1 503`]
      },
      opts: { jobId: `0-1-${index}-2`, delay: 300_000, attempts: 11 }
    }))
  )
  receiver.behave((request, response) => {
    const id = request.headers['webhook-id'] ?? ''
    response.writeHead(id.startsWith('more') ? 422 : 200).end()
  })
  await until('recovered', async () => many.every(id => idsAt(receiver).includes(id)), RECOVERY_MS)
  await new Promise(resolve => setTimeout(resolve, 1000))
  const last = new Map<string, number>()
  const early = receiver.requests.filter(({ headers, atMs }) => {
    const id = headers['webhook-id'] ?? ''
    const sinceMs = atMs - (last.get(id) ?? Number.NEGATIVE_INFINITY)
    last.set(id, atMs)
    // The pause after a second failure is 4 s, less a fifth.
    return id.startsWith('more') && sinceMs < 3200
  })
  t.same(early, [], 'none is attempted again before its pause')
  t.equal(await dead.count('crm'), 0)
})

t.test(
  'an outage that ends while the consumer is paused: its failed events are sent soon after the pause',
  async t => {
    const { receiver, append, outcomes, queue, redis, consumer, states } = await push(t, answers(503), {
      retryDelayMs: TIME_TO_POSTPONE_MS,
      maxRetryDelayMs: 60_000,
      maxAttempts: 12
    })
    await append(...ids('down', 5))
    await until('all are queued', async () => (await queue.outstanding()).count === 5)
    await postponeAll(queue)
    await until('recorded', async () => (await states.read('crm')).failingSinceMs !== undefined)
    await consumer.stop()
    receiver.behave(answers(200))
    consumer.start()
    await append('later')
    await untilDone(redis, queue, RECOVERY_MS)
    t.equal(delivered(outcomes), 6)
  }
)

t.test('a queue that is still paused after an answer 410 runs again when the consumer starts', async t => {
  const { receiver, append, outcomes, queue, redis, consumer } = await push(t, answers(422))
  await append('queued')
  await until('queued', async () => (await queue.outstanding()).count === 1)
  await consumer.stop()
  // As if the answer to 410 came after `consumers enable`.
  await queue.queue.pause()
  receiver.behave(answers(200))
  consumer.start()
  await untilDone(redis, queue, RECOVERY_MS)
  t.equal(delivered(outcomes), 1)
})
