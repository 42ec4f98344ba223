import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { webhookEventNames } from '../../../src/customerio/webhook-events.ts'
import { createEventLog } from '../../../src/log/append.ts'
import { formatGenerations } from '../../../src/log/dedupe-index.ts'
import { partitionKeys } from '../../../src/log/keys.ts'
import { createMessageIndex } from '../../../src/log/message-index.ts'
import { parseDelivery, toLogEntry } from '../../../src/receive/log-entry.ts'
import type { VerifiedBody } from '../../../src/receive/signature.ts'
import { connectRedis } from '../../../src/redis/connect.ts'
import { runToEnd } from '../../helpers/command.ts'
import { startCustomerIo } from '../../helpers/customer-io.ts'
import { type FakeMessage, fakeMessage, serveMessages } from '../../helpers/fake-messages.ts'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { KEY } from '../../helpers/sign.ts'
import { testSource } from '../../helpers/source.ts'

/*
 * Six weeks of a workspace: what Customer.io lists, and what it sent. After `connect --apply` and `reconcile --fill`,
 * which is killed on its way, the log has every event that the list can show, once.
 */

t.setTimeout(1_200_000)

const MESSAGES = 100_000
const HOUR = 3600
const DAY = 24 * HOUR
const ENDPOINT = 'https://hooks.example.com/api/cio/webhook'
const MAIN = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))

const nowSeconds = Math.floor(Date.now() / 1000)
const start = nowSeconds - 42 * DAY

const redis = await startRedis()
t.teardown(() => redis.stop())
const connection = connectRedis(redis.address)
t.teardown(() => connection.disconnect())
await until('a connection', async () => connection.status === 'ready')
const fake = await startCustomerIo(t)
fake.appKeys.add('app-key-of-the-test')
const env = {
  REDIS_URL: redis.url,
  CIO_APP_API_KEY: 'app-key-of-the-test',
  CIO_APP_URL: fake.appUrl,
  CIO_WEBHOOK_SECRET: KEY,
  RECONCILE_DAYS: '60'
}

/** Two outages that the queue of Customer.io survived, one that was too long, an hour without webhook. */
const outages = [
  { from: start + 5 * DAY, to: start + 5 * DAY + 2 * HOUR, isLost: false },
  { from: start + 12 * DAY, to: start + 13 * DAY, isLost: false },
  { from: start + 20 * DAY, to: start + 20 * DAY + 5 * HOUR, isLost: true }
]
const disabled = { from: start + 30 * DAY, to: start + 30 * DAY + HOUR }
const withoutBounced = { from: start + 33 * DAY, to: start + 40 * DAY }
const within = ({ from, to }: { from: number; to: number }, at: number) => at >= from && at < to

const types = ['email', 'email', 'email', 'push', 'twilio', 'in_app', 'rcs']
const messages = Array.from({ length: MESSAGES }, (_, n): FakeMessage => {
  // Evenly until two hours ago.
  const created = start + Math.floor((n * (42 * DAY - 2 * HOUR)) / MESSAGES)
  const type = types[n % types.length] ?? 'email'
  const metrics: Record<string, number> = { created, drafted: created, sent: created + 3 }
  // Only what Customer.io has names for: in-app messages do not bounce, text messages are not opened.
  if (n % 50 === 0 && type !== 'in_app') metrics['bounced'] = created + 5
  else if (type !== 'in_app') metrics['delivered'] = created + 5
  if (n % 4 === 1 && (type === 'email' || type === 'push'))
    Object.assign(metrics, { opened: created + 60, human_opened: 2, prefetch_opened: 1 })
  const gone = n % 500 === 7 ? { customer_id: null, customer_identifiers: null, recipient: null } : {}
  const failure_message = n % 50 === 0 ? `no mailbox of m${n}@example.com` : null
  return fakeMessage(`M${n}`, created, { type, metrics, failure_message, ...gone })
})
serveMessages(fake, messages)

const isMissing = (objectType: string, metric: string, at: number): boolean =>
  outages.some(outage => outage.isLost && within(outage, at)) ||
  within(disabled, at) ||
  (objectType === 'email' && metric === 'bounced' && within(withoutBounced, at))

const EVENTS = new Set(['sent', 'delivered', 'bounced', 'opened'])
const expected = messages.flatMap(message =>
  Object.entries(message.metrics)
    .filter(([metric]) => EVENTS.has(metric))
    .map(([metric, at]) => ({
      message,
      metric,
      at,
      objectType: message.type === 'twilio' ? 'sms' : message.type
    }))
)

t.test('six weeks of deliveries are appended, without those that were lost', async t => {
  const { messages: keys } = partitionKeys('cio:', 0)
  const openedAtMs = (start - HOUR) * 1000
  await redis.client.set(keys.keyId, 'none')
  await redis.client.set(keys.generations, formatGenerations([{ number: 1, buckets: 16_384, openedAtMs }]))
  await redis.client.hset(
    'cio:{deliveries}:last',
    'default',
    JSON.stringify({ at: Date.now(), outcome: 'accepted', ageSeconds: 1 })
  )
  const eventLog = createEventLog({
    redis: connection,
    keyPrefix: 'cio:',
    partitions: 1,
    maxLength: 5_000_000,
    messageIndex: createMessageIndex(undefined),
    durabilityWait: undefined,
    isRedisUp: () => true
  })
  const source = testSource()
  const append = ({ message, metric, at, objectType }: (typeof expected)[number]) => {
    const payload = {
      event_id: `${message.id}-${metric}`,
      object_type: objectType,
      metric,
      timestamp: at,
      data: {
        customer_id: message.customer_id,
        identifiers: message.customer_identifiers,
        delivery_id: message.id,
        recipient: message.recipient
      }
    }
    const context = {
      source,
      receivedAtMs: at * 1000,
      timestamp: '',
      idHeader: undefined,
      parkedAs: undefined
    }
    const body = Buffer.from(JSON.stringify(payload)) as VerifiedBody
    return eventLog.append(toLogEntry(parseDelivery(body, { ...context, fromDoctor: false })))
  }
  const sent = expected.filter(({ objectType, metric, at }) => !isMissing(objectType, metric, at))
  for (let from = 0; from < sent.length; from += 200)
    await Promise.all(sent.slice(from, from + 200).map(append))
  t.ok(
    sent.length < expected.length - 1000,
    `${expected.length - sent.length} of ${expected.length} were lost`
  )
})

t.test('connect --apply corrects the webhook, and reconcile --fill the log, though it is killed', async t => {
  fake.webhooks.push({
    id: 7,
    type: 'http',
    name: 'ours',
    endpoint: ENDPOINT,
    events: webhookEventNames(() => true).filter(name => name !== 'email_bounced'),
    disabled: true,
    full_resolution: true,
    with_content: false
  })
  const connected = await runToEnd(['connect', ENDPOINT, '--apply', '--yes'], env)
  t.equal(connected.code, 0, connected.stderr)
  t.match(fake.webhooks[0], { disabled: false })
  t.ok(fake.webhooks[0]?.events.includes('email_bounced'))

  const first = fake.requestTimesMs.length
  let printed = ''
  let run = ['--fill', '--from', '45d']
  // While pages are read, and while events are appended.
  for (const killAfter of [
    pages(MESSAGES / 5000),
    pages(MESSAGES / 1600),
    appended(MESSAGES / 400),
    appended(MESSAGES / 400)
  ]) {
    const child = spawn(process.execPath, [MAIN, 'reconcile', ...run, '--rate', '200'], {
      env: { ...process.env, ...env }
    })
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', text => (printed += text))
    const exited = once(child, 'exit')
    await killAfter(child)
    child.kill('SIGKILL')
    await exited
    run = ['--resume']
  }
  const { code, stdout, stderr } = await runToEnd(['reconcile', '--resume', '--json', '--rate', '5000'], env)
  t.equal(code, 0, stderr)
  t.match(JSON.parse(stdout), { isFinished: true, stillMissing: 0, messages: MESSAGES })
  t.notMatch(printed + stdout + stderr, /example\.com|Ada|customer-of|app-key-of/)
  t.ok(rate(fake.requestTimesMs.slice(first)) <= 2.1, 'at most two requests per second')

  const again = await runToEnd(['reconcile', '--json', '--from', '45d'], env)
  t.equal(again.code, 0, again.stderr)
  const report = JSON.parse(again.stdout)
  t.match(report, { checked: report.found, missing: 0, waiting: 0, stillMissing: 0 })
  const notAsked = Object.values<number>(report.notChecked.notInWebhook).reduce(
    (sum, count) => sum + count,
    0
  )
  t.equal(
    report.found + notAsked,
    expected.length,
    'only lost events of the undocumented type are not filled'
  )
  t.same(
    Object.keys(report.notChecked.notInWebhook).filter(name => !name.startsWith('rcs_')),
    []
  )
})

t.test('the log has each event once, and nothing personal', async t => {
  const seen = new Map<string, number>()
  let personal = 0
  for (let from = '-'; ; ) {
    const page = await redis.client.xrange('cio:events:{0}', from, '+', 'COUNT', 5000)
    for (const [, fields] of page) {
      const event = JSON.parse(fields[3] ?? '')
      const key = `${event.data.data.delivery_id} ${event.data.metric} ${event.data.timestamp}`
      seen.set(key, (seen.get(key) ?? 0) + 1)
      if (/@example\.com|Welcome, Ada/.test(fields[3] ?? '')) personal++
    }
    const last = page.at(-1)?.[0]
    if (last === undefined) break
    from = `(${last}`
  }
  t.same(
    [...seen].filter(([, times]) => times > 1),
    [],
    '0 duplicates'
  )
  const lost = expected.filter(({ message, metric, at }) => !seen.has(`${message.id} ${metric} ${at}`))
  t.same(
    lost.filter(({ objectType }) => objectType !== 'rcs'),
    [],
    '0 missing'
  )
  t.equal(personal, 0)
  t.same(await redis.client.keys('cio:{reconcile}*'), [])
})

const pages = (count: number) => async (): Promise<void> => {
  const read = () => fake.requests.filter(request => request.includes('/v1/messages')).length
  while (read() < count) await sleep(20)
}

function appended(count: number) {
  return async (child: ReturnType<typeof spawn>): Promise<void> => {
    const before = await redis.client.xlen('cio:events:{0}')
    while (child.exitCode === null && (await redis.client.xlen('cio:events:{0}')) < before + count)
      await sleep(20)
  }
}

/** The highest number of requests in ten seconds, per second. */
const rate = (times: readonly number[]): number =>
  Math.max(...times.map(from => times.filter(at => at >= from && at < from + 10_000).length)) / 10
