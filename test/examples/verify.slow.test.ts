import { Webhook } from 'standardwebhooks'
import t, { type Test } from 'tap'
import { consumersFile, httpConsumer, WEBHOOK_SECRET } from '../helpers/consumers-file.ts'
import { type ReceivedRequest, startReceiver } from '../helpers/receiver.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, isListening, until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { killedAfter, languages, type PreparedProgram, prepareProgram } from './programs.ts'

const NEW_SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`
/** The tolerance of Standard Webhooks is 300 s. */
const OLD_SECONDS = 330
const EVENT_ID = 'push-1'

t.jobs = 2
for (const language of languages) {
  t.test(
    `the ${language} receiver takes pushes of the service, during a rotation too, and refuses all others`,
    async t => verifyPushes(t, await prepareProgram(t, `${language} receiver`))
  )
}

async function verifyPushes(t: Test, prepared: PreparedProgram): Promise<void> {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const recorder = await startReceiver()
  t.teardown(() => recorder.stop())
  // A rotation: the service signs with both secrets, and each receiver knows one of them.
  const secrets = { secret: NEW_SECRET, secretPrevious: WEBHOOK_SECRET }
  const receivers = { old: await start(WEBHOOK_SECRET), new: await start(NEW_SECRET) }
  const service = await startTestService({
    REDIS_URL: redis.url,
    CONSUMERS_FILE: consumersFile(
      httpConsumer('recorder', recorder.url, secrets),
      httpConsumer('old', receivers.old.url, secrets),
      httpConsumer('new', receivers.new.url, secrets)
    )
  })
  t.teardown(() => service.close())
  await service.post(
    JSON.stringify({
      event_id: EVENT_ID,
      object_type: 'email',
      metric: 'opened',
      timestamp: 1_795_000_000,
      data: { customer_id: 'customer-1', campaign_name: 'Grüße 🎉' }
    })
  )

  for (const [name, { lines }] of Object.entries(receivers)) {
    await until(`a push with the ${name} secret is verified`, async () =>
      lines().some(line => line.includes(EVENT_ID))
    )
  }
  await until('a push is recorded', async () => recorder.requests.length > 0)
  const [push] = recorder.requests
  if (push === undefined) throw new Error('no push')
  t.match(push.body, 'Grüße 🎉')
  t.equal(signaturesOf(push).length, 2, 'two signatures, separated by a space')

  const { url } = receivers.new
  t.equal(await send(push), 204, 'the push as it was received')
  t.equal(await send(push, { 'webhook-signature': signedAt(push, 0) }), 204, 'signed by this test')
  const wrong = { ...push, body: push.body.replace('customer-1', 'customer-2') }
  t.equal(await send(wrong), 401, 'a changed body')
  t.equal(await send(push, { 'webhook-id': 'push-2' }), 401, 'a changed id')
  for (const [what, seconds] of [
    ['an old', -OLD_SECONDS],
    ['a future', OLD_SECONDS]
  ] as const) {
    const changes: Record<string, string> = {
      'webhook-timestamp': String(timestampOf(push) + seconds),
      'webhook-signature': signedAt(push, seconds)
    }
    t.equal(await send(push, changes), 401, `${what} timestamp with its right signature`)
  }
  const [signature = ''] = signaturesOf(push)
  for (const value of [
    new Webhook(`whsec_${Buffer.alloc(32, 1).toString('base64')}`).sign(EVENT_ID, new Date(), push.body),
    ...[signature.replace('v1,', 'v2,'), signature.slice(3), signature.slice(0, -8)],
    ...['v1', 'v1,', 'v1,%%%', 'v1,A', ',', ' ', 'v1,é']
  ]) {
    t.equal(await send(push, { 'webhook-signature': value }), 401, `signature ${value}`)
  }
  for (const value of ['', 'now', 'NaN', '1e999', '9'.repeat(30), '-1']) {
    t.equal(await send(push, { 'webhook-timestamp': value }), 401, `timestamp ${value}`)
  }
  for (const name of ['webhook-id', 'webhook-timestamp', 'webhook-signature']) {
    t.equal(await send(push, { [name]: undefined }), 401, `without ${name}`)
  }
  t.equal(await send(push), 204, 'and it still works')

  async function start(secret: string) {
    const port = await freePort()
    const program = killedAfter(t, prepared.start({ WEBHOOK_SECRET: secret, PORT: String(port) }))
    await until('the receiver listens', () => isListening(port))
    return { url: `http://127.0.0.1:${port}/events`, lines: program.lines }
  }

  /** @returns the status; `changes` replace headers, or remove them */
  async function send(
    { headers, body }: ReceivedRequest,
    changes: Readonly<Record<string, string | undefined>> = {}
  ): Promise<number> {
    const all = Object.entries({ ...headers, ...changes }).filter(
      (entry): entry is [string, string] =>
        entry[1] !== undefined && (entry[0].startsWith('webhook-') || entry[0] === 'content-type')
    )
    const response = await fetch(url, { method: 'POST', headers: all, body })
    await response.arrayBuffer()
    return response.status
  }
}

const signaturesOf = ({ headers }: ReceivedRequest): readonly string[] =>
  (headers['webhook-signature'] ?? '').split(' ')

const timestampOf = ({ headers }: ReceivedRequest): number => Number(headers['webhook-timestamp'])

/** The signature that this push would have, had it been sent so many seconds later. */
const signedAt = (push: ReceivedRequest, seconds: number): string =>
  new Webhook(NEW_SECRET).sign(EVENT_ID, new Date((timestampOf(push) + seconds) * 1000), push.body)
