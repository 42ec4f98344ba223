import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { createAttemptRecorder } from '../../../src/dispatch/attempt-recorder.ts'
import { consumerStates } from '../../../src/dispatch/consumer-state.ts'
import { createDeadLetterReporter } from '../../../src/dispatch/dead-letter-reporter.ts'
import type { Sink } from '../../../src/dispatch/sink.ts'
import { createHttpSink } from '../../../src/dispatch/sinks/http.ts'
import { openPushQueue, type PushQueue } from '../../../src/dispatch/sinks/push-queue.ts'
import { type DeadLetters, deadLetters } from '../../../src/group/dead-letters.ts'
import type { OutgoingEvent } from '../../../src/group/outgoing-event.ts'
import { createLogger } from '../../../src/ops/logger.ts'
import type { AttemptOutcome } from '../../../src/ops/outcomes.ts'
import { connectRedis } from '../../../src/redis/connect.ts'
import { Secret } from '../../../src/secret.ts'
import type { HttpSettings } from '../../../src/settings/consumers-file.ts'
import { outgoing, outgoingMany } from '../../helpers/outgoing.ts'
import {
  answers,
  type Behaviour,
  type ReceivedRequest,
  startReceiver,
  type TestReceiver
} from '../../helpers/receiver.ts'
import { startRedis, type TestRedis } from '../../helpers/redis.ts'
import { freeze, until } from '../../helpers/server.ts'
import { type SinkUnderTest, sinkConformance } from './sink-conformance.ts'

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const PREVIOUS = `whsec_${Buffer.alloc(32, 8).toString('base64')}`
const never = new AbortController().signal

const settings = (receiver: { url: string }, changes: Partial<HttpSettings> = {}): HttpSettings => ({
  name: 'crm',
  type: 'http',
  from: 'start',
  url: receiver.url,
  secrets: [new Secret(SECRET)],
  concurrency: 10,
  timeoutMs: 500,
  maxAttempts: 3,
  retryDelayMs: 20,
  maxRetryDelayMs: 200,
  backlog: 1000,
  backlogBytes: 1024 * 1024,
  ...changes
})

interface Push {
  readonly redis: TestRedis
  readonly receiver: TestReceiver
  readonly sink: Sink
  readonly outcomes: AttemptOutcome[]
  readonly dead: DeadLetters
  readonly states: ReturnType<typeof consumerStates>
  readonly queue: PushQueue
}

interface Keepers {
  readonly keep?: (keep: DeadLetters['add']) => DeadLetters['add']
}

function openSink(
  redis: TestRedis,
  http: HttpSettings,
  outcomes: AttemptOutcome[] = [],
  { keep = kept => kept }: Keepers = {}
) {
  const patient = connectRedis(redis.address, 'blocking')
  patient.on('error', () => {})
  const client = connectRedis(redis.address)
  client.on('error', () => {})
  const states = consumerStates(client, 'cio:', Date.now)
  const dead = deadLetters(client, 'cio:')
  const countAttempts = (_: string, outcome: AttemptOutcome): void => void outcomes.push(outcome)
  const { log } = createLogger('silent')
  const attempts = createAttemptRecorder({
    redis: client,
    keyPrefix: 'cio:',
    length: 100,
    states,
    countAttempts,
    log,
    now: Date.now
  })
  const sink = createHttpSink(http, {
    queueRedis: patient,
    keyPrefix: 'cio:',
    states,
    deadLetters: { ...dead, add: keep(dead.add) },
    now: Date.now,
    attempts,
    countAttempts,
    reporter: createDeadLetterReporter(log),
    onError: () => {}
  })
  sink.pausing?.resume()
  const queue = openPushQueue(patient, 'cio:', http)
  const close = async (): Promise<void> => {
    await sink.close()
    await attempts.close()
    await Promise.race([queue.queue.close(), new Promise(resolve => setTimeout(resolve, 500))])
    patient.disconnect()
    client.disconnect()
  }
  return { sink, states, dead, queue, outcomes, close }
}

async function push(
  t: Test,
  behaviour: Behaviour,
  changes: Partial<HttpSettings> = {},
  keepers: Keepers = {}
): Promise<Push> {
  const redis = await startRedis()
  const receiver = await startReceiver(behaviour)
  const opened = openSink(redis, settings(receiver, changes), [], keepers)
  t.teardown(async () => {
    await opened.close()
    await receiver.stop()
    await redis.stop()
  })
  return { redis, receiver, ...opened }
}

t.test('push over HTTP fulfils the contract of a sink', async t => {
  sinkConformance(t, async (): Promise<SinkUnderTest> => {
    const redis = await startRedis()
    let receiver = await startReceiver()
    const earlier: TestReceiver[] = []
    const { port } = receiver
    const opened = openSink(redis, settings(receiver, { concurrency: 1, maxAttempts: 100 }))
    return {
      sink: opened.sink,
      keepsOrder: false,
      secrets: [SECRET, SECRET.slice('whsec_'.length)],
      arrivals: async () =>
        [...earlier, receiver].flatMap(({ requests }) =>
          requests.map(({ headers, body }) => ({ id: headers['webhook-id'] ?? '', event: body }))
        ),
      stop: () => receiver.stop(),
      start: async () => {
        earlier.push(receiver)
        receiver = await startReceiver(answers(204), port)
      },
      freeze: () => freeze(redis),
      thaw: () => void redis.process.kill('SIGCONT'),
      close: async () => {
        await opened.close()
        await receiver.stop()
        await redis.stop()
      }
    }
  })
})

t.test(
  'a request is the CloudEvent, with a signature that the Standard Webhooks verifier accepts',
  async t => {
    const { receiver, sink } = await push(t, answers(200), {
      secrets: [new Secret(SECRET), new Secret(PREVIOUS)]
    })
    const event = outgoing('01J8ZK6T9QW3E5R7Y1U2I3O4P5')
    await sink.publish([event], never)
    const request = await until('a request', async () => receiver.requests[0])
    t.equal(request.body, event.event)
    t.equal(request.headers['content-type'], 'application/cloudevents+json; charset=utf-8')
    t.equal(request.headers['webhook-id'], event.id)
    t.match(request.headers['traceparent'], /^00-[0-9a-f]{32}-[0-9a-f]{16}-00$/)
    for (const secret of [SECRET, PREVIOUS]) {
      t.same(new Webhook(secret).verify(request.body, { ...request.headers }), JSON.parse(event.event))
    }
    t.throws(() =>
      new Webhook(`whsec_${Buffer.alloc(32, 9).toString('base64')}`).verify(request.body, request.headers)
    )
  }
)

t.test('an id that cannot be a header value is sent as its digest, and the signature is valid', async t => {
  const { receiver, sink } = await push(t, answers(200))
  await sink.publish([outgoing('line\nbreak: é')], never)
  const request = await until('a request', async () => receiver.requests[0])
  t.match(request.headers['webhook-id'], /^[0-9a-f]{64}$/)
  t.equal(JSON.parse(request.body).id, 'line\nbreak: é')
  t.doesNotThrow(() => new Webhook(SECRET).verify(request.body, { ...request.headers }))
})

const bad: readonly { readonly does: string; readonly behaviour: Behaviour; readonly reason: RegExp }[] = [
  { does: 'answers 500', behaviour: answers(500), reason: /^status 500$/ },
  { does: 'answers 404', behaviour: answers(404), reason: /^status 404$/ },
  { does: 'hangs', behaviour: () => {}, reason: /^timeout$/ },
  {
    does: 'resets connections',
    behaviour: (_request, response) => void response.socket?.resetAndDestroy(),
    reason: /^connection: (ECONNRESET|UND_ERR_SOCKET)$/
  },
  {
    does: 'redirects',
    behaviour: (_request, response) => void response.writeHead(307, { location: '/elsewhere' }).end(),
    reason: /^status 307, and redirects are not followed$/
  },
  {
    does: 'answers 500 with a secret in it',
    behaviour: (_request, response) => void response.writeHead(500).end('their-secret'),
    reason: /^status 500$/
  }
]

for (const { does, behaviour, reason } of bad) {
  t.test(
    `a consumer that ${does} gets each event as often as configured; then it is a dead letter`,
    async t => {
      const { receiver, sink, outcomes, dead, states, queue, redis } = await push(t, behaviour)
      const event = outgoing('unwanted')
      await sink.publish([event], never)
      const [letter] = await until('a dead letter', async () => {
        const letters = await dead.list('crm', 10)
        return letters.length > 0 && letters
      })
      t.equal(receiver.requests.length, 3)
      t.match(letter, {
        type: event.type,
        event: event.event,
        position: event.position,
        reason: 'failed',
        error: reason,
        attempts: 3
      })
      const answer = reason.source.replace(/^\^(?:status (\d+))?.*$/, '$1')
      t.match(
        letter?.lastAttempts.map(({ attempt, answer }) => `${attempt} ${answer}`),
        [1, 2, 3].map(attempt => new RegExp(`^${attempt} ${answer}`)),
        'it keeps the attempts, also without the log of attempts'
      )
      await until('an empty queue', async () => (await queue.outstanding()).count === 0)
      t.same(outcomes, ['failed', 'failed', 'dead'])
      await until('three failures', async () => (await states.read('crm')).failures === 3)
      t.match(await states.read('crm'), { lastFailure: reason })
      for (const key of await redis.client.keys('*')) {
        if (key.includes('dead')) continue
        t.notMatch(JSON.stringify(await redis.client.dump(key).catch(() => '')), 'their-secret')
      }
    }
  )
}

t.test(
  'an event whose last failure cannot be recorded is tried again, and ends as a dead letter',
  async t => {
    let refusals = 0
    const { sink, outcomes, dead, queue, receiver } = await push(
      t,
      answers(500),
      {},
      {
        keep:
          keep =>
          async (...letter) => {
            if (++refusals === 1) throw new Error('Command timed out')
            await keep(...letter)
          }
      }
    )
    await sink.publish([outgoing('unwanted')], never)
    await until('a dead letter', async () => (await dead.count('crm')) === 1)
    await until('an empty queue', async () => (await queue.outstanding()).count === 0)
    t.equal(await queue.queue.getFailedCount(), 0, 'none remains in the failed jobs of BullMQ')
    t.equal(receiver.requests.length, 4, 'three attempts, and the last once more')
    t.same(outcomes, ['failed', 'failed', 'dead'])
  }
)

t.test('a consumer that fails at first gets the event again until it answers 2xx', async t => {
  const { receiver, sink, outcomes, dead } = await push(t, (_request, response, count) => {
    response.writeHead(count < 3 ? 503 : 200).end()
  })
  await sink.publish([outgoing('wanted')], never)
  await until('delivered', async () => outcomes.includes('delivered'))
  t.same(outcomes, ['failed', 'failed', 'delivered'])
  t.equal(receiver.requests.length, 3)
  t.equal(await dead.count('crm'), 0)
})

t.test('a response that never ends or is huge costs its connection, not the success', async t => {
  const huge = Buffer.alloc(1024 * 1024, 'x')
  const { receiver, sink, outcomes } = await push(t, (request, response) => {
    response.writeHead(200)
    if (request.headers['webhook-id'] === 'endless') response.write('x')
    else response.end(Buffer.concat(Array(20).fill(huge)))
  })
  await sink.publish([outgoing('endless'), outgoing('huge')], never)
  await until('both delivered', async () => outcomes.length === 2)
  t.same(outcomes, ['delivered', 'delivered'])
  await until('no connection is left behind', async () => (await receiver.connections()) === 0)
})

t.test('retry-after is honoured, up to the longest delay', async t => {
  const { receiver, sink, outcomes } = await push(
    t,
    (_request, response, count) => {
      if (count === 1) response.writeHead(503, { 'retry-after': '86400' }).end()
      else response.writeHead(200).end()
    },
    { retryDelayMs: 10, maxRetryDelayMs: 700 }
  )
  await sink.publish([outgoing('later')], never)
  await until('delivered', async () => outcomes.includes('delivered'))
  const [first, second] = receiver.requests
  t.ok(first !== undefined && second !== undefined && second.atMs - first.atMs >= 650)
})

t.test('after an outage a consumer gets the failed events at once', async t => {
  const { receiver, sink, outcomes } = await push(t, answers(503), {
    retryDelayMs: 60_000,
    maxRetryDelayMs: 60_000
  })
  await sink.publish(outgoingMany('down', 8), never)
  await until('all have failed', async () => outcomes.length === 8)
  receiver.behave(answers(200))
  await sink.publish([outgoing('back')], never)
  await until('all delivered', async () => outcomes.filter(outcome => outcome === 'delivered').length === 9)
  t.equal(receiver.requests.length, 17)
})

t.test('an event that the consumer rejects is not tried sooner because others were accepted', async t => {
  const { sink, outcomes } = await push(
    t,
    (request, response) =>
      void response.writeHead(request.headers['webhook-id'] === 'disliked' ? 500 : 200).end(),
    { retryDelayMs: 60_000, maxRetryDelayMs: 60_000 }
  )
  await sink.publish([outgoing('disliked')], never)
  await until('it has failed', async () => outcomes.length === 1)
  await sink.publish(outgoingMany('liked', 5), never)
  await until('the others are there', async () => outcomes.length === 6)
  t.same(outcomes, ['failed', ...Array(5).fill('delivered')])
})

t.test('a consumer that answers 410 gets no events until it is enabled; then none is missing', async t => {
  const { receiver, sink, states, queue, outcomes } = await push(t, answers(410), { concurrency: 1 })
  const events = outgoingMany('gone', 5)
  await sink.publish(events, never)
  await until('disabled', async () => (await states.read('crm')).disabledAtMs !== undefined)
  await until('paused', () => queue.queue.isPaused())
  const asked = receiver.requests.length
  await sink.publish(outgoingMany('later', 3), never)
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(receiver.requests.length, asked)
  t.equal((await queue.outstanding()).count, 8)
  t.match(await states.read('crm'), { disabledReason: 'answered 410 (Gone)' })

  receiver.behave(answers(200))
  await states.enable('crm')
  await queue.queue.resume()
  await until('all delivered', async () => outcomes.filter(outcome => outcome === 'delivered').length === 8)
  t.equal((await states.read('crm')).disabledAtMs, undefined)
})

t.test('the queue holds at most as many events as the backlog allows', async t => {
  const { sink, queue, receiver } = await push(t, () => {}, {
    concurrency: 2,
    backlog: 5,
    timeoutMs: 60_000
  })
  const giveUp = new AbortController()
  const publication = sink.publish(outgoingMany('many', 20), giveUp.signal)
  await until('a full queue', async () => (await queue.outstanding()).count === 5)
  await until('both requests', async () => receiver.requests.length === 2)
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal((await queue.outstanding()).count, 5)
  giveUp.abort()
  await t.rejects(publication)
})

t.test('the backlog is limited in bytes too, and an event larger than that goes alone', async t => {
  const sized = (id: string, bytes: number): OutgoingEvent => {
    const event = outgoing(id)
    return { ...event, event: event.event.padEnd(bytes) }
  }
  // The whole queue is in flight: fewer events fit into it than may be in flight.
  const under: ReceivedRequest[] = []
  const seen: string[][] = []
  const { sink, queue } = await push(
    t,
    (request, response) => {
      under.push(request)
      seen.push(under.map(({ headers }) => headers['webhook-id'] ?? '').sort())
      setTimeout(() => {
        under.splice(under.indexOf(request), 1)
        response.writeHead(204).end()
      }, 300)
    },
    { backlogBytes: 10_000, timeoutMs: 60_000 }
  )
  const small = Array.from({ length: 7 }, (_, index) => sized(`small-${index}`, 3000))
  await sink.publish([...small, sized('large', 50_000), sized('last', 3000)], never)
  await until('an empty queue', async () => (await queue.outstanding()).count === 0)
  t.equal(Math.max(...seen.map(ids => ids.length)), 3, 'as many as fit, and no more')
  const withLarge = seen.filter(ids => ids.includes('large'))
  t.same(withLarge, [['large']])
  t.same(new Set(seen.flat()).size, 9)
})

t.test('an event that is offered again while it waits is posted once', async t => {
  const { sink, outcomes, receiver } = await push(t, (_request, response) => {
    setTimeout(() => response.writeHead(200).end(), 100)
  })
  const event = outgoing('once')
  await sink.publish([event], never)
  await sink.publish([event], never)
  await sink.publish([outgoing('other')], never)
  await until('delivered', async () => outcomes.length >= 2)
  t.same(
    receiver.requests.map(({ headers }) => headers['webhook-id']),
    ['once', 'other']
  )
})
