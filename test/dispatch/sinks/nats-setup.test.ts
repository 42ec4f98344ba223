import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect as connectSocket, createServer } from 'node:net'
import { join } from 'node:path'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import t, { type Test } from 'tap'
import { createNatsSink } from '../../../src/dispatch/sinks/nats.ts'
import { describeError } from '../../../src/ops/logger.ts'
import { Secret } from '../../../src/secret.ts'
import type { NatsSettings } from '../../../src/settings/consumers-file.ts'
import { startNats } from '../../helpers/nats.ts'
import { outgoing } from '../../helpers/outgoing.ts'
import { temporaryFolder, until } from '../../helpers/server.ts'

const INBOX = 'subscribe: ["_INBOX.>"]'
/** Users of one account with JetStream, each with fewer rights, and one of an account without it. */
const CONFIG = `
accounts {
  EVENTS {
    jetstream: enabled
    users: [
      { user: owner, password: pw }
      { user: outsider, password: pw, permissions: { publish: ["cio.>"], ${INBOX} } }
      { user: looker, password: pw, permissions: { publish: ["$JS.API.INFO", "$JS.API.STREAM.INFO.>"], ${INBOX} } }
    ]
  }
  PLAIN { users: [{ user: plain, password: pw }] }
}`

const folder = temporaryFolder()
const configFile = join(folder, 'nats.conf')
writeFileSync(configFile, CONFIG)
const nats = await startNats({ folder, args: ['-c', configFile] })
t.teardown(() => nats.stop())

const owner = await connect({ servers: nats.url, user: 'owner', pass: 'pw' })
const manager = await jetstreamManager(owner)
t.teardown(() => owner.close())

const settings = (changes: Partial<NatsSettings>): NatsSettings => ({
  name: 'bus',
  type: 'nats',
  from: 'start',
  servers: [nats.url],
  stream: 'CIO',
  subjectPrefix: 'cio',
  user: 'owner',
  password: new Secret('pw'),
  token: undefined,
  ...changes
})

/** The message that the log shows for the error of a first publish. */
async function reported(t: Test, changes: Partial<NatsSettings>, type = 'io.customer.email.sent') {
  const sink = createNatsSink(settings(changes))
  t.teardown(() => sink.close())
  const publish = () =>
    sink.publish([outgoing('id-1', type)], AbortSignal.timeout(8000)).then(
      () => 'published',
      (error: unknown) => describeError(error)['message']
    )
  return { publish, message: await publish() }
}

t.test('a stream whose subjects overlap with another one is reported with the code', async t => {
  await manager.streams.add({ name: 'THEIRS', subjects: ['taken.>'] })
  const { message } = await reported(t, { stream: 'OURS', subjectPrefix: 'taken' })
  t.equal(
    message,
    'the stream OURS cannot be created for the subjects taken.>: subjects overlap with an existing stream (10065)'
  )
})

t.test('a stream without the subject is not reported as missing JetStream', async t => {
  await manager.streams.add({ name: 'PARTLY', subjects: ['partly.sms.*', 'other.>'] })
  const { message } = await reported(t, { stream: 'PARTLY', subjectPrefix: 'partly' })
  t.equal(
    message,
    'NATS did not accept every event: the stream PARTLY does not have the subject partly.email.sent, only partly.sms.*, other.>'
  )
})

t.test('a subject that belongs to another stream is reported with the code', async t => {
  await manager.streams.add({ name: 'EMPTY', subjects: ['elsewhere'] })
  const { message } = await reported(t, { stream: 'EMPTY', subjectPrefix: 'taken' })
  t.equal(message, 'NATS did not accept every event: expected stream does not match (10060)')
})

t.test('a stream that is full is reported with the code', async t => {
  await manager.streams.add({ name: 'FULL', subjects: ['full.>'], max_msgs: 1, discard: 'new' })
  await jetstream(owner).publish('full.first', '')
  const { message } = await reported(t, { stream: 'FULL', subjectPrefix: 'full' })
  t.equal(message, 'NATS did not accept every event: maximum messages exceeded (10077)')
})

t.test('a deleted stream is reported, and created again by the next call', async t => {
  const { publish, message } = await reported(t, { stream: 'BRIEF', subjectPrefix: 'brief' })
  t.equal(message, 'published')
  await manager.streams.delete('BRIEF')
  t.equal(await publish(), 'NATS did not accept every event: the stream BRIEF: stream not found (10059)')
  t.equal(await publish(), 'published')
})

t.test('a subscriber that answers instead of the stream is reported, and breaks no connection', async t => {
  await manager.streams.add({ name: 'MUTE', subjects: ['mute.>'], no_ack: true })
  const answering = owner.subscribe('mute.>', { callback: (_, message) => void message.respond('hello') })
  t.teardown(() => answering.unsubscribe())
  await owner.flush()
  const { publish, message } = await reported(t, { stream: 'MUTE', subjectPrefix: 'mute' })
  t.equal(message, 'NATS did not accept every event: the answer is not an acknowledgement')
  t.equal(await publish(), message)
})

/** A proxy before NATS. Of the server it only lets messages of the protocol pass that begin like this. */
async function startMutingProxy(t: Test, passes: RegExp) {
  let muted = 0
  const server = createServer(client => {
    const peer = connectSocket(nats.port, '127.0.0.1')
    client.pipe(peer)
    peer.on('data', chunk => {
      if (passes.test(chunk.toString())) client.write(chunk)
      else muted++
    })
    for (const [socket, other] of [
      [client, peer],
      [peer, client]
    ] as const) {
      socket.on('error', () => {})
      socket.on('close', () => other.destroy())
    }
  })
  t.teardown(() => server.close())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `nats://127.0.0.1:${port}`, hasMuted: () => muted > 0 }
}

t.test('a sink closes at once while a server is silent after its greeting, or after the login', async t => {
  for (const [passes, failure] of [
    [/^INFO/, 'NATS refuses the connection: aborted before there was an answer'],
    [/^(?:INFO|PING|PONG)/, 'JetStream cannot be used: aborted before there was an answer']
  ] as const) {
    const proxy = await startMutingProxy(t, passes)
    const sink = createNatsSink(settings({ servers: [proxy.url] }))
    const published = sink.publish([outgoing('id-1')], new AbortController().signal).then(
      () => 'published',
      (error: unknown) => describeError(error)['message']
    )
    await until('it waits for an answer', async () => proxy.hasMuted())
    const startedMs = performance.now()
    await sink.close()
    t.ok(performance.now() - startedMs < 4000)
    t.equal(await published, failure)
  }
})

t.test('an account without JetStream is reported as such', async t => {
  const { message } = await reported(t, { user: 'plain' })
  t.equal(
    message,
    'JetStream cannot be used: JetStream is not enabled on this server, or not for this account'
  )
})

t.test('missing permissions are reported with what is not permitted', async t => {
  t.equal(
    (await reported(t, { user: 'outsider' })).message,
    'JetStream cannot be used: Permissions Violation for Publish to "$JS.API.INFO"'
  )
  t.equal(
    (await reported(t, { user: 'looker', stream: 'NEW', subjectPrefix: 'new' })).message,
    'the stream NEW cannot be created for the subjects new.>: Permissions Violation for Publish to "$JS.API.STREAM.CREATE.NEW"'
  )
  await manager.streams.add({ name: 'SEEN', subjects: ['seen.>'] })
  t.equal(
    (await reported(t, { user: 'looker', stream: 'SEEN', subjectPrefix: 'seen' })).message,
    'NATS did not accept every event: Permissions Violation for Publish to "seen.email.sent"'
  )
})

t.test('a wrong password is reported, and not shown', async t => {
  const { message } = await reported(t, { password: new Secret('hunter2') })
  t.match(message, /^NATS refuses the connection: .*authorization violation/i)
  t.notMatch(message, /hunter2/)
})
