import { connect as connectSocket, createServer } from 'node:net'
import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'amqplib'
import t, { type Test } from 'tap'
import { answerOf, reasonOf } from '../../../src/dispatch/failure.ts'
import { createAmqpSink } from '../../../src/dispatch/sinks/amqp.ts'
import { Secret } from '../../../src/secret.ts'
import type { AmqpSettings } from '../../../src/settings/consumers-file.ts'
import { outgoing, outgoingMany } from '../../helpers/outgoing.ts'
import { startRabbit, type TestRabbit } from '../../helpers/rabbitmq.ts'
import { freePort, freeze, temporaryFolder, until } from '../../helpers/server.ts'
import {
  type Arrival,
  type SinkUnderTest,
  sinkConformance,
  type TraceHeaders,
  traceHeadersOf
} from './sink-conformance.ts'

const never = new AbortController().signal

const settings = (rabbit: { url: string }, changes: Partial<AmqpSettings> = {}): AmqpSettings => ({
  name: 'work',
  type: 'amqp',
  from: 'start',
  url: rabbit.url,
  exchange: 'cio',
  username: 'guest',
  password: new Secret('guest'),
  ...changes
})

/** A queue for all events, bound before the first one. */
async function bindQueue(rabbit: TestRabbit, queue: string, exchange = 'cio'): Promise<void> {
  const connection = await connect(rabbit.url)
  const channel = await connection.createChannel()
  await channel.assertExchange(exchange, 'topic', { durable: true })
  await channel.assertQueue(queue, { durable: true })
  await channel.bindQueue(queue, exchange, '#')
  await connection.close()
}

interface QueuedMessage extends Arrival {
  readonly trace: TraceHeaders
  readonly routingKey: string
  readonly persistent: boolean
}

async function queued(rabbit: TestRabbit, queue: string): Promise<QueuedMessage[]> {
  const connection = await connect(rabbit.url)
  const channel = await connection.createChannel()
  const messages: QueuedMessage[] = []
  for (;;) {
    const message = await channel.get(queue)
    if (message === false) break
    messages.push({
      id: String(message.properties.messageId),
      event: message.content.toString(),
      routingKey: message.fields.routingKey,
      persistent: message.properties.deliveryMode === 2,
      trace: traceHeadersOf(name => message.properties.headers?.[name])
    })
  }
  // Messages that were not acknowledged return to the queue.
  await connection.close()
  return messages
}

t.setTimeout(600_000)

t.test('RabbitMQ fulfils the contract of a sink', async t => {
  const folder = temporaryFolder()
  let rabbit = await startRabbit({ folder })
  const { port } = rabbit
  let round = 0
  t.teardown(() => rabbit.stop())

  sinkConformance(t, async (): Promise<SinkUnderTest> => {
    const exchange = `cio-${++round}`
    await bindQueue(rabbit, exchange, exchange)
    return {
      sink: createAmqpSink(settings(rabbit, { exchange })),
      unwelcome: createAmqpSink(settings(rabbit, { exchange, password: new Secret('wrong-password') })),
      keepsOrder: true,
      secrets: ['wrong-password'],
      arrivals: async () => (await queued(rabbit, exchange)).map(({ id, event }) => ({ id, event })),
      traces: async () => (await queued(rabbit, exchange)).map(({ trace }) => trace),
      stop: () => rabbit.stop('SIGKILL'),
      start: async () => {
        rabbit = await startRabbit({ folder, port })
      },
      freeze: () => freeze(rabbit),
      thaw: () => void rabbit.process.kill('SIGCONT'),
      close: async () => {}
    }
  })
})

t.test('messages are persistent and routed by object type and metric', async t => {
  const rabbit = await startRabbit()
  await bindQueue(rabbit, 'all')
  const sink = createAmqpSink(settings(rabbit))
  t.teardown(async () => {
    await sink.close()
    await rabbit.stop()
  })
  await sink.publish([outgoing('1', 'io.customer.email.opened'), outgoing('2', 'io.customer.unknown')], never)
  t.same(
    (await queued(rabbit, 'all')).map(({ id, routingKey, persistent }) => ({ id, routingKey, persistent })),
    [
      { id: '1', routingKey: 'email.opened', persistent: true },
      { id: '2', routingKey: 'unknown', persistent: true }
    ]
  )
})

t.test('while RabbitMQ accepts no messages, a batch is sent once, however often it is tried', async t => {
  const rabbit = await startRabbit()
  await bindQueue(rabbit, 'all')
  const sink = createAmqpSink(settings(rabbit))
  t.teardown(async () => {
    await sink.close()
    await rabbit.stop()
  })
  await sink.publish([outgoing('before')], never)
  // The alarm of a RabbitMQ whose memory is low.
  await rabbit.control('set_vm_memory_high_watermark', '0')
  const blocked = outgoingMany('blocked', 50)
  for (let tries = 0; tries < 3; tries++) {
    const failed = await sink.publish(blocked, never).catch(error => error)
    t.match(reasonOf(failed), /^RabbitMQ accepts no messages \(low on memory\): .*timeout/)
    t.equal(answerOf(failed), 'timeout')
  }
  await rabbit.control('set_vm_memory_high_watermark', '0.6')
  t.same(await sink.publish([outgoing('after')], never), [])
  t.same(
    (await queued(rabbit, 'all')).map(({ id }) => id),
    ['before', ...blocked.map(({ id }) => id), 'after']
  )
})

/** A proxy before RabbitMQ that can hold its confirmations back, and lets its heartbeats pass. */
async function startHoldingProxy(t: Test, rabbit: TestRabbit) {
  let held: (() => void)[] | undefined
  const server = createServer(client => {
    const broker = connectSocket(rabbit.port, '127.0.0.1')
    for (const socket of [client, broker]) socket.on('error', () => {})
    client.pipe(broker)
    broker.on('data', chunk => {
      const forward = (): void => void client.write(chunk)
      const isHeartbeat = chunk[0] === 8 && chunk.length === 8
      if (held === undefined || isHeartbeat) forward()
      else held.push(forward)
    })
    broker.on('close', () => client.destroy())
    client.on('close', () => broker.destroy())
  })
  const port = await freePort()
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return {
    url: `amqp://127.0.0.1:${port}`,
    hold: () => {
      held ??= []
    },
    isHolding: () => (held?.length ?? 0) > 0,
    /** @param again whether later confirmations are held back */
    release: (again: boolean) => {
      const released = held ?? []
      held = again ? [] : undefined
      for (const forward of released) forward()
    }
  }
}

/** A sink whose event RabbitMQ has, but whose confirmation the proxy holds back, after the time for it. */
async function publishUnconfirmed(t: Test) {
  const rabbit = await startRabbit()
  await bindQueue(rabbit, 'all')
  const proxy = await startHoldingProxy(t, rabbit)
  const sink = createAmqpSink(settings(proxy))
  t.teardown(async () => {
    await sink.close()
    await rabbit.stop()
  })
  await sink.publish([outgoing('before')], never)
  proxy.hold()
  const event = outgoing('late')
  t.equal(answerOf(await sink.publish([event], never).catch(error => error)), 'timeout')
  return { rabbit, proxy, sink, event }
}

t.test('after a late confirmation, RabbitMQ has the whole time for the same events', async t => {
  const { rabbit, proxy, sink, event } = await publishUnconfirmed(t)
  const secondTry = sink.publish([event], never).then(
    () => 'confirmed',
    error => reasonOf(error)
  )
  await sleep(6000)
  proxy.release(true)
  await until('it is sent again, and confirmed', async () => proxy.isHolding(), 10_000)
  await sleep(5000)
  proxy.release(false)
  t.equal(await secondTry, 'confirmed', 'after more than 10 s in total')
  t.same(
    (await queued(rabbit, 'all')).map(({ id }) => id),
    ['before', 'late', 'late']
  )
})

t.test('events are not sent after a late confirmation if another member has them by then', async t => {
  const { rabbit, proxy, sink, event } = await publishUnconfirmed(t)
  const revoked = new AbortController()
  const secondTry = t.rejects(sink.publish([event], revoked.signal))
  // It has got the connection, and waits for the confirmation.
  await setImmediate()
  revoked.abort()
  await secondTry
  proxy.release(false)
  t.same(await sink.publish([outgoing('after')], never), [])
  t.same(
    (await queued(rabbit, 'all')).map(({ id }) => id),
    ['before', 'late', 'after']
  )
})

t.test('an unreachable broker leaks no listeners, however often it is tried', async t => {
  const warnings: Error[] = []
  const note = (warning: Error): void => void warnings.push(warning)
  process.on('warning', note)
  t.teardown(() => process.off('warning', note))
  const sink = createAmqpSink(settings({ url: `amqp://127.0.0.1:${await freePort()}` }))
  for (let n = 0; n < 20; n++) await t.rejects(sink.publish([outgoing('1')], never))
  await sink.close()
  await setImmediate()
  t.same(warnings, [])
})

t.test('a failure names what RabbitMQ replied, and its code', async t => {
  const rabbit = await startRabbit()
  t.teardown(() => rabbit.stop())
  const failureOf = async (changes: Partial<AmqpSettings>, between = async (): Promise<void> => {}) => {
    const sink = createAmqpSink(settings(rabbit, changes))
    try {
      await between()
      await sink.publish([outgoing('one')], never)
      return undefined
    } catch (error) {
      return { reason: reasonOf(error), answer: answerOf(error) }
    } finally {
      await sink.close()
    }
  }
  t.match(await failureOf({ password: new Secret('wrong') }), {
    reason: /^RabbitMQ refuses the connection to the virtual host \/: ACCESS_REFUSED - .*\(403\)$/,
    answer: 'ACCESS_REFUSED 403'
  })
  t.match(await failureOf({ url: `${rabbit.url}/missing` }), {
    // amqplib 2.3 does not pass on why the broker closes a connection that is being opened.
    reason:
      /^RabbitMQ refuses the connection to the virtual host missing: it does not exist, or is not permitted to the user$/,
    answer: 'failed'
  })
  t.match(await failureOf({ url: 'amqp://127.0.0.1:1' }), {
    reason: /ECONNREFUSED/,
    answer: 'ECONNREFUSED'
  })

  const connection = await connect(rabbit.url)
  const channel = await connection.createChannel()
  await channel.assertExchange('other', 'fanout')
  t.match(await failureOf({ exchange: 'other' }), {
    reason: /^the exchange other cannot be declared: PRECONDITION_FAILED - .*\(406\)$/,
    answer: 'PRECONDITION_FAILED 406'
  })

  const sink = createAmqpSink(settings(rabbit))
  t.teardown(() => sink.close())
  t.same(await sink.publish([outgoing('one')], never), [])
  await channel.deleteExchange('cio')
  await connection.close()
  const lost = await sink.publish([outgoing('two')], never).catch(error => error)
  t.match(
    { reason: reasonOf(lost), answer: answerOf(lost) },
    { reason: /^RabbitMQ did not confirm every event: NOT_FOUND - .*\(404\)$/, answer: 'NOT_FOUND 404' }
  )
})
