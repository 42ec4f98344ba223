import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { attemptHistory } from '../../../src/dispatch/attempts.ts'
import type { Sink } from '../../../src/dispatch/sink.ts'
import { redeliver } from '../../../src/group/redeliver.ts'
import { Secret } from '../../../src/secret.ts'
import type { HttpSettings } from '../../../src/settings/http-consumer.ts'
import { appendEvent } from '../../helpers/log.ts'
import { answers, type Behaviour, startReceiver, type TestReceiver } from '../../helpers/receiver.ts'
import { startRedis, type TestRedis } from '../../helpers/redis.ts'
import { freeze, until } from '../../helpers/server.ts'
import { type SinkUnderTest, sinkConformance, traceHeadersOf } from '../sinks/sink-conformance.ts'
import {
  httpSettings,
  ids,
  idsAt,
  type OpenConsumer,
  openConsumer,
  push,
  SECRET,
  STREAM,
  untilDone,
  waiting
} from './open-consumer.ts'

t.setTimeout(600_000)

const PREVIOUS = `whsec_${Buffer.alloc(32, 8).toString('base64')}`

/**
 * The contract of a sink, for a consumer that reads the log itself: `publish` appends events to the log, and resolves
 * once they are acknowledged.
 */
function asSink(redis: TestRedis, { consumer }: OpenConsumer): Sink {
  const closed = new AbortController()
  return {
    publish: async (events, signal) => {
      const any = AbortSignal.any([signal, closed.signal])
      for (const { type, event } of events) await redis.client.xadd(STREAM, '*', 'type', type, 'event', event)
      for (;;) {
        any.throwIfAborted()
        const { lag, pending } = await waiting(redis)
        if (lag === 0 && pending === 0) return []
        await new Promise(resolve => setTimeout(resolve, 20))
      }
    },
    close: async () => {
      closed.abort()
      await consumer.close()
    }
  }
}

t.test('push over HTTP fulfils the contract of a sink', async t => {
  sinkConformance(t, async (): Promise<SinkUnderTest> => {
    const redis = await startRedis()
    let frozen: (() => void)[] | undefined
    const behaviour: Behaviour = (_request, response) => {
      const answer = () => void response.writeHead(204).end()
      if (frozen === undefined) answer()
      else frozen.push(answer)
    }
    let receiver = await startReceiver(behaviour)
    const earlier: TestReceiver[] = []
    const { port } = receiver
    const opened = await openConsumer(
      redis,
      httpSettings(receiver, { concurrency: 1, maxAttempts: 100, timeoutMs: 5000 })
    )
    await until('the group', async () => (await redis.client.exists(STREAM)) === 1)
    return {
      sink: asSink(redis, opened),
      keepsOrder: false,
      secrets: [SECRET, SECRET.slice('whsec_'.length)],
      arrivals: async () =>
        [...earlier, receiver].flatMap(({ requests }) =>
          requests.map(({ headers, body }) => ({ id: headers['webhook-id'] ?? '', event: body }))
        ),
      traces: async () => receiver.requests.map(({ headers }) => traceHeadersOf(name => headers[name])),
      stop: () => receiver.stop(),
      start: async () => {
        earlier.push(receiver)
        receiver = await startReceiver(behaviour, port)
      },
      freeze: async () => {
        frozen = []
      },
      thaw: () => {
        for (const answer of frozen ?? []) answer()
        frozen = undefined
      },
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
    const { receiver, append, redis } = await push(t, answers(200), {
      secrets: [new Secret(SECRET), new Secret(PREVIOUS)]
    })
    await append('01J8ZK6T9QW3E5R7Y1U2I3O4P5')
    const request = await until('a request', async () => receiver.requests[0])
    const [[, fields] = ['', []]] = await redis.client.xrange(STREAM, '-', '+')
    t.equal(request.body, fields[fields.indexOf('event') + 1])
    t.equal(request.headers['content-type'], 'application/cloudevents+json; charset=utf-8')
    t.equal(request.headers['webhook-id'], '01J8ZK6T9QW3E5R7Y1U2I3O4P5')
    t.notHas(request.headers, { traceparent: String }, 'it would switch tracing off at the receiver')
    for (const secret of [SECRET, PREVIOUS]) {
      t.same(new Webhook(secret).verify(request.body, { ...request.headers }), JSON.parse(request.body))
    }
    t.throws(() =>
      new Webhook(`whsec_${Buffer.alloc(32, 9).toString('base64')}`).verify(request.body, request.headers)
    )
  }
)

t.test('an id that cannot be a header value is sent as its digest, and the signature is valid', async t => {
  const { receiver, append } = await push(t, answers(200))
  await append('line\nbreak: é')
  const request = await until('a request', async () => receiver.requests[0])
  t.match(request.headers['webhook-id'], /^[0-9a-f]{64}$/)
  t.equal(JSON.parse(request.body).id, 'line\nbreak: é')
  t.doesNotThrow(() => new Webhook(SECRET).verify(request.body, { ...request.headers }))
})

const bad: readonly {
  readonly does: string
  readonly behaviour: Behaviour
  readonly reason: RegExp
  readonly changes?: Partial<HttpSettings>
}[] = [
  { does: 'answers 500', behaviour: answers(500), reason: /^status 500$/ },
  { does: 'answers 404', behaviour: answers(404), reason: /^status 404$/ },
  { does: 'hangs', behaviour: () => {}, reason: /^timeout$/, changes: { timeoutMs: 500 } },
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

for (const { does, behaviour, reason, changes } of bad) {
  t.test(
    `a consumer that ${does} gets each event as often as configured; then it is a dead letter`,
    async t => {
      const { receiver, append, outcomes, dead, states, queue, redis } = await push(t, behaviour, changes)
      await append('unwanted')
      const [letter] = await until('a dead letter', async () => {
        const letters = await dead.list('crm', 10)
        return letters.length > 0 && letters
      })
      t.equal(receiver.requests.length, 3)
      t.match(letter, {
        event: /"id":"unwanted"/,
        position: /^0-\d+-\d+$/,
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
      await untilDone(redis, queue)
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
  'an event whose last failure cannot be recorded is not lost: it is tried again, and ends as a dead letter',
  async t => {
    let refusals = 0
    const { append, outcomes, dead, queue, receiver, redis } = await push(
      t,
      answers(500),
      {},
      add =>
        async (...letter) => {
          if (++refusals === 1) throw new Error('Command timed out')
          await add(...letter)
        }
    )
    await append('unwanted')
    await until('a dead letter', async () => (await dead.count('crm')) === 1)
    await untilDone(redis, queue)
    t.equal(await queue.queue.getFailedCount(), 0, 'none remains in the failed jobs of BullMQ')
    t.equal(receiver.requests.length, 4, 'three attempts, and the last once more')
    t.same(outcomes, ['failed', 'failed', 'dead'])
  }
)

t.test('with one allowed attempt, a failed event is a dead letter at once', async t => {
  const { append, outcomes, dead, queue, receiver, redis } = await push(t, answers(500), { maxAttempts: 1 })
  await append('unwanted')
  await until('a dead letter', async () => (await dead.count('crm')) === 1)
  await untilDone(redis, queue)
  t.equal(receiver.requests.length, 1)
  t.same(outcomes, ['dead'])
})

t.test('a consumer that fails at first gets the event again until it answers 2xx', async t => {
  const { receiver, append, outcomes, dead } = await push(t, (_request, response, count) => {
    response.writeHead(count < 3 ? 503 : 200).end()
  })
  await append('wanted')
  await until('delivered', async () => outcomes.includes('delivered'))
  t.same(outcomes, ['failed', 'failed', 'delivered'])
  t.equal(receiver.requests.length, 3)
  t.equal(await dead.count('crm'), 0)
})

t.test('a response that never ends or is huge costs its connection, not the success', async t => {
  const huge = Buffer.alloc(1024 * 1024, 'x')
  const { receiver, append, outcomes } = await push(
    t,
    (request, response) => {
      response.writeHead(200)
      if (request.headers['webhook-id'] === 'endless') response.write('x')
      else response.end(Buffer.concat(Array(20).fill(huge)))
    },
    { timeoutMs: 3000 }
  )
  await append('endless', 'huge')
  await until('both delivered', async () => outcomes.length === 2)
  t.same(outcomes, ['delivered', 'delivered'])
  await until('no connection is left behind', async () => (await receiver.connections()) === 0)
})

t.test('a response whose headers drip ends at the timeout', async t => {
  const { append, outcomes } = await push(
    t,
    (_request, response) => {
      const drip = setInterval(() => response.socket?.write('x'), 50)
      response.socket?.write('HTTP/1.1 200 OK\r\nx-slow: ')
      response.socket?.once('close', () => clearInterval(drip))
    },
    { maxAttempts: 1, timeoutMs: 500 }
  )
  const startedMs = performance.now()
  await append('slow')
  await until('ended', async () => outcomes.length === 1)
  t.same(outcomes, ['dead'])
  const tookMs = performance.now() - startedMs
  t.ok(tookMs > 400 && tookMs < 10_000, `${tookMs} ms`)
})

t.test('an event that fails does not delay others, and is acknowledged in the log', async t => {
  const { receiver, append, outcomes, queue, redis } = await push(
    t,
    (request, response) =>
      void response.writeHead(request.headers['webhook-id'] === 'disliked' ? 500 : 200).end(),
    { retryDelayMs: 60_000, maxRetryDelayMs: 60_000 }
  )
  await append('disliked')
  await until('it has failed', async () => outcomes.length === 1)
  const others = ids('liked', 50)
  await append(...others)
  await until('the others are there', async () => others.every(id => idsAt(receiver).includes(id)))
  await until('the log waits for nothing', async () => (await waiting(redis)).pending === 0)
  t.match(await waiting(redis), { lag: 0, pending: 0 })
  t.same(
    outcomes.filter(outcome => outcome !== 'delivered'),
    ['failed']
  )
  t.equal((await queue.outstanding()).count, 1)
  t.equal(idsAt(receiver).filter(id => id === 'disliked').length, 1, 'and is not tried sooner')
})

t.test('successful events of one customer arrive in order, one at a time', async t => {
  let inFlight = 0
  let most = 0
  const { receiver, redis, queue } = await push(t, (_request, response) => {
    most = Math.max(most, ++inFlight)
    setTimeout(() => {
      inFlight--
      response.writeHead(200).end()
    }, 5)
  })
  const sent = ids('event', 20)
  for (const id of sent) await appendEvent(redis.client, { id, subject: 'one' })
  await until('all', async () => receiver.requests.length === 20)
  await untilDone(redis, queue)
  t.same(idsAt(receiver), sent)
  t.equal(most, 1)
})

t.test('a consumer that answers 410 gets no events until it is enabled; then none is missing', async t => {
  const { consumer, receiver, append, states, queue, outcomes, redis } = await push(t, answers(410), {
    concurrency: 1
  })
  await append(...ids('gone', 5))
  await until('disabled', async () => (await states.read('crm')).disabledAtMs !== undefined)
  await until('paused', () => queue.queue.isPaused())
  t.equal(consumer.hasStoppedItself?.(), true)
  await append(...ids('later', 3))
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(receiver.requests.length, 1)
  t.match(await states.read('crm'), { disabledReason: 'answered 410 (Gone)' })
  t.same([...(await states.disabled(['crm', 'other']))], ['crm'])
  t.same(outcomes, ['gone'])

  receiver.behave(answers(200))
  await consumer.stop()
  await states.enable('crm')
  await queue.queue.resume()
  consumer.start()
  await untilDone(redis, queue)
  t.same(outcomes, ['gone', ...Array(8).fill('delivered')])
  t.equal((await states.read('crm')).disabledAtMs, undefined)
})

t.test('when a process dies, another one delivers what it had read, and continues to count', async t => {
  const { redis, consumer, receiver, settings, append } = await push(t, answers(200))
  await until('the group', async () => (await redis.client.exists(STREAM)) === 1)
  await consumer.stop()
  await append('read', 'unread')
  // Read by a process that died.
  await redis.client.xreadgroup('GROUP', 'crm', 'cio-webhook', 'COUNT', 1, 'STREAMS', STREAM, '>')
  const second = await openConsumer(redis, settings)
  t.teardown(() => second.close())
  await untilDone(redis, second.queue)
  t.same(idsAt(receiver).sort(), ['read', 'unread'])
  const history = attemptHistory(second.connection, 'cio:')
  const attempts = await until('the attempts', async () => {
    const found = await history.newest('crm', 10)
    return found.length === 2 && found
  })
  t.same(
    new Map(attempts.map(({ eventId, attempt }) => [eventId, attempt])),
    new Map([
      ['read', 2],
      ['unread', 1]
    ])
  )
})

t.test('an event of the log that is in the queue already is not queued twice', async t => {
  const { redis, connection, append, queue, outcomes } = await push(t, answers(500), {
    maxAttempts: 3,
    retryDelayMs: 2000,
    maxRetryDelayMs: 2000
  })
  await append('once')
  await until('queued', async () => (await queue.outstanding()).count === 1)
  await until('acknowledged', async () => (await waiting(redis)).pending === 0)
  // As after a crash between queueing and acknowledging: it is pending, and attempted again.
  const [[id = ''] = []] = await redis.client.xrange(STREAM, '-', '+')
  t.same(await redeliver(connection, 'cio:', 'crm', 0, [id]), [id])
  await until('again', async () => outcomes.length === 2)
  await until('acknowledged', async () => (await waiting(redis)).pending === 0)
  t.equal((await queue.outstanding()).count, 1)
})

t.test('while the queue of failed events is full, no events are taken from the log', async t => {
  const { append, queue, receiver, redis, outcomes } = await push(
    t,
    (request, response, count) =>
      // Never five failures in a row: it is not down.
      void response.writeHead(count % 4 === 0 || request.headers['webhook-id'] === 'ok' ? 200 : 500).end(),
    { concurrency: 2, backlog: 5, retryDelayMs: 60_000, maxRetryDelayMs: 60_000 }
  )
  await append(...ids('many', 300))
  await until('a full queue', async () => (await queue.outstanding()).count === 5)
  // Requests go on until the queue is found full.
  let seen = -1
  await until('no more requests', async () => {
    const before = seen
    seen = receiver.requests.length
    await new Promise(resolve => setTimeout(resolve, 200))
    return before === seen
  })
  await new Promise(resolve => setTimeout(resolve, 500))
  t.equal(receiver.requests.length, seen)
  t.ok(seen < 150, `${seen} requests`)
  t.equal((await queue.outstanding()).count, 5)
  receiver.behave(answers(200))
  await until('all', async () => {
    await queue.queue.promoteJobs()
    return outcomes.filter(outcome => outcome === 'delivered').length === 300
  })
  await untilDone(redis, queue)
})

t.test('the backlog is limited in bytes too, and an event larger than that waits alone', async t => {
  const { redis, queue, append } = await push(t, answers(500), {
    backlogBytes: 2000,
    retryDelayMs: 60_000,
    maxRetryDelayMs: 60_000
  })
  const add = (id: string, bytes: number): Promise<string> =>
    appendEvent(redis.client, { id, data: { filler: 'x'.repeat(bytes) } })
  await add('large', 10_000)
  await until('queued', async () => (await queue.outstanding()).count === 1)
  await append('small')
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal((await queue.outstanding()).count, 1, 'the queue is full')
  t.match(await waiting(redis), { pending: 1 })
  await queue.queue.drain(true)
  await until('the small one', async () => (await waiting(redis)).pending === 0)
  t.equal((await queue.outstanding()).count, 1)
})

t.test('requests in flight finish when the consumer is stopped, and none follows', async t => {
  const open: (() => void)[] = []
  const { consumer, receiver, append, outcomes, redis } = await push(
    t,
    (_request, response) => void open.push(() => response.writeHead(200).end()),
    { concurrency: 3, timeoutMs: 10_000 }
  )
  await append(...ids('event', 10))
  await until('in flight', async () => open.length === 3)
  const stopped = consumer.stop()
  setTimeout(() => {
    for (const answer of open) answer()
  }, 300)
  await stopped
  t.same(outcomes, ['delivered', 'delivered', 'delivered'])
  t.equal(receiver.requests.length, 3)
  t.match(await waiting(redis), { lag: 0, pending: 7 })
  const pending = (await redis.client.xpending(STREAM, 'crm', '-', '+', 10)) as unknown[][]
  t.same(
    pending.map(([, , , deliveries]) => deliveries),
    Array(7).fill(0),
    'the others count as never attempted'
  )
})

t.test('a consumer whose receiver hangs closes in time, and the attempt does not count', async t => {
  const { consumer, append, receiver, outcomes, redis } = await push(t, () => {}, { timeoutMs: 60_000 })
  await append('hanging')
  await until('in flight', async () => receiver.requests.length === 1)
  const startedMs = performance.now()
  await consumer.close()
  t.ok(performance.now() - startedMs < 4500)
  t.same(outcomes, [])
  t.match(await waiting(redis), { pending: 1 })
})

t.test('a consumer closes in time while Redis hangs', async t => {
  const { consumer, append, receiver, redis } = await push(t, answers(200), { timeoutMs: 60_000 })
  await append('before')
  await until('delivered', async () => receiver.requests.length === 1)
  await freeze(redis)
  const startedMs = performance.now()
  await Promise.all([consumer.stop(), consumer.close()])
  const tookMs = performance.now() - startedMs
  redis.process.kill('SIGCONT')
  t.ok(tookMs < 4500, `${tookMs} ms`)
})
