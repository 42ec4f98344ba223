import { type AddressInfo, createServer, type Socket } from 'node:net'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import t from 'tap'
import { createNatsSink } from '../../../src/dispatch/sinks/nats.ts'
import { Secret } from '../../../src/secret.ts'
import type { NatsSettings } from '../../../src/settings/consumers-file.ts'
import { startNats, type TestNats } from '../../helpers/nats.ts'
import { outgoing } from '../../helpers/outgoing.ts'
import { freeze, temporaryFolder, until } from '../../helpers/server.ts'
import {
  type Arrival,
  type SinkUnderTest,
  sinkConformance,
  type TraceHeaders,
  traceHeadersOf
} from './sink-conformance.ts'

const PASSWORD = 'a-password-for-nats'
const never = new AbortController().signal

const settings = (nats: { url: string }, changes: Partial<NatsSettings> = {}): NatsSettings => ({
  name: 'bus',
  type: 'nats',
  from: 'start',
  servers: [nats.url],
  stream: 'CIO',
  subjectPrefix: 'cio',
  user: 'service',
  password: new Secret(PASSWORD),
  token: undefined,
  ...changes
})

const login = ['--user', 'service', '--pass', PASSWORD]

interface StoredMessage extends Arrival {
  readonly trace: TraceHeaders
  readonly subject: string
}

async function stored(nats: TestNats): Promise<StoredMessage[]> {
  const connection = await connect({ servers: nats.url, user: 'service', pass: PASSWORD })
  try {
    const manager = await jetstreamManager(connection)
    const { state } = await manager.streams.info('CIO')
    const messages: StoredMessage[] = []
    for (let seq = state.first_seq; state.messages > 0 && seq <= state.last_seq; seq++) {
      const message = await manager.streams.getMessage('CIO', { seq })
      if (message === null) continue
      messages.push({
        id: message.header.get('Nats-Msg-Id'),
        event: message.string(),
        subject: message.subject,
        trace: traceHeadersOf(name => message.header.get(name))
      })
    }
    return messages
  } catch (error) {
    if (error instanceof Error && /stream not found/.test(error.message)) return []
    throw error
  } finally {
    await connection.close()
  }
}

t.test('NATS JetStream fulfils the contract of a sink', async t => {
  sinkConformance(t, async (): Promise<SinkUnderTest> => {
    const folder = temporaryFolder()
    let nats = await startNats({ folder, args: login })
    const { port } = nats
    return {
      sink: createNatsSink(settings(nats)),
      unwelcome: createNatsSink(settings(nats, { password: new Secret('wrong-password-for-nats') })),
      keepsOrder: true,
      secrets: [PASSWORD, 'wrong-password-for-nats'],
      arrivals: async () => (await stored(nats)).map(({ id, event }) => ({ id, event })),
      traces: async () => (await stored(nats)).map(({ trace }) => trace),
      stop: () => nats.stop('SIGKILL'),
      start: async () => {
        nats = await startNats({ folder, port, args: login })
      },
      freeze: () => freeze(nats),
      thaw: () => void nats.process.kill('SIGCONT'),
      close: () => nats.stop()
    }
  })
})

t.test('subjects are object type and metric, or unknown', async t => {
  const nats = await startNats({ args: login })
  const sink = createNatsSink(settings(nats))
  t.teardown(async () => {
    await sink.close()
    await nats.stop()
  })
  const types = [
    ['io.customer.email.opened', 'cio.email.opened'],
    ['io.customer.in_app.clicked', 'cio.in_app.clicked'],
    ['io.customer.unknown', 'cio.unknown'],
    ['io.customer.email.*', 'cio.unknown'],
    ['io.customer.email.>', 'cio.unknown'],
    ['io.customer.a.b.c', 'cio.unknown'],
    ['io.customer. .opened', 'cio.unknown'],
    ['com.example.thing.happened', 'cio.unknown']
  ] as const
  await sink.publish(
    types.map(([type], index) => outgoing(`id-${index}`, type)),
    never
  )
  t.same(
    (await stored(nats)).map(({ subject }) => subject),
    types.map(([, subject]) => subject)
  )
})

t.test('the broker drops duplicates, but not the same id of another source', async t => {
  const nats = await startNats({ args: login })
  const sink = createNatsSink(settings(nats))
  t.teardown(async () => {
    await sink.close()
    await nats.stop()
  })
  const event = outgoing('same')
  await sink.publish([event], never)
  await sink.publish([event], never)
  await sink.publish([outgoing('same', undefined, 'campaigns')], never)
  t.same(
    (await stored(nats)).map(({ id }) => id),
    ['same', 'campaigns/same']
  )
})

t.test('an existing stream is not altered', async t => {
  const nats = await startNats({ args: login })
  const connection = await connect({ servers: nats.url, user: 'service', pass: PASSWORD })
  const manager = await jetstreamManager(connection)
  await manager.streams.add({ name: 'CIO', subjects: ['cio.email.*'], max_msgs: 7, description: 'theirs' })
  const before = (await manager.streams.info('CIO')).config
  const sink = createNatsSink(settings(nats))
  t.teardown(async () => {
    await sink.close()
    await connection.close()
    await nats.stop()
  })
  await sink.publish([outgoing('one')], never)
  t.same((await manager.streams.info('CIO')).config, before)
  await t.rejects(
    sink.publish([outgoing('two', 'io.customer.sms.sent')], never),
    { message: 'NATS did not accept every event' },
    'an event that the stream does not cover is not lost: it waits in the log'
  )
})

t.test('an event larger than the stream allows is refused, the others arrive', async t => {
  const nats = await startNats({ args: login })
  const connection = await connect({ servers: nats.url, user: 'service', pass: PASSWORD })
  const manager = await jetstreamManager(connection)
  const sized = (id: string, bytes: number) => {
    const own = outgoing(id)
    return { ...own, event: own.event.padEnd(bytes) }
  }
  await manager.streams.add({ name: 'CIO', subjects: ['cio.>'], max_msg_size: 10_000 })
  const sink = createNatsSink(settings(nats))
  t.teardown(async () => {
    await sink.close()
    await connection.close()
    await nats.stop()
  })
  const ids = (refused: Awaited<ReturnType<typeof sink.publish>>) =>
    refused.map(({ event, reason }) => [event.id, reason])
  const reason = 'larger than the broker accepts (max_msg_size of the stream)'
  const events = [sized('a', 9800), sized('larger', 9990), sized('far-larger', 20_000), sized('b', 500)]
  t.same(ids(await sink.publish(events, never)), [
    ['larger', reason],
    ['far-larger', reason]
  ])
  // Lowered while the sink is connected: the next call learns it.
  await manager.streams.update('CIO', { max_msg_size: 5000 })
  await t.rejects(sink.publish([sized('c', 9000)], never), { message: /10054/ })
  t.same(ids(await sink.publish([sized('c', 9000), sized('d', 500)], never)), [['c', reason]])
  t.same(
    (await stored(nats)).map(({ id }) => id),
    ['a', 'b', 'd']
  )
})

t.test('an event larger than the broker accepts is refused, the others arrive', async t => {
  const nats = await startNats({ args: login })
  const sink = createNatsSink(settings(nats))
  t.teardown(async () => {
    await sink.close()
    await nats.stop()
  })
  const large = { ...outgoing('large'), event: `{"data":"${'x'.repeat(2 * 1024 * 1024)}"}` }
  const refused = await sink.publish([outgoing('a'), large, outgoing('b')], never)
  t.same(
    refused.map(({ event, reason }) => [event.id, reason]),
    [['large', 'larger than the broker accepts (max_payload)']]
  )
  t.same(
    (await stored(nats)).map(({ id }) => id),
    ['a', 'b']
  )
})

t.test('tls:// is mandatory: a server that offers no TLS does not get the password', async t => {
  const heard: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('data', chunk => heard.push(String(chunk)))
    socket.on('error', () => {})
    socket.write(
      'INFO {"server_id":"x","version":"2.10.0","proto":1,"headers":true,"max_payload":1048576}\r\n'
    )
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const sink = createNatsSink(settings({ url: `tls://127.0.0.1:${port}` }))
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await sink.close()
    server.close()
  })
  await t.rejects(sink.publish([outgoing('one')], AbortSignal.timeout(5000)), /does not support 'tls'/)
  t.same(heard, [])
})

t.test('a server that greets and then closes the connection does not block the others', async t => {
  const nats = await startNats({ args: login })
  const rude = createServer(socket => socket.on('error', () => {}).end('INFO {"max_payload":1048576}\r\n'))
  await new Promise<void>(resolve => rude.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    rude.close()
    await nats.stop()
  })
  const { port } = rude.address() as AddressInfo
  const sink = createNatsSink(settings(nats, { servers: [`nats://127.0.0.1:${port}`, nats.url] }))
  t.teardown(() => sink.close())
  // The client chooses a server at random for each attempt, and the dispatcher tries again.
  await until('it is accepted', () =>
    sink.publish([outgoing('one')], AbortSignal.timeout(10_000)).then(
      () => true,
      () => false
    )
  )
  t.match(await stored(nats), [{ id: 'one' }])
})
