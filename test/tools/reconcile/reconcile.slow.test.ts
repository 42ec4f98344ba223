import t, { type Test } from 'tap'
import { createEventLog } from '../../../src/log/append.ts'
import { formatGenerations } from '../../../src/log/dedupe-index.ts'
import { partitionKeys } from '../../../src/log/keys.ts'
import { createMessageIndex } from '../../../src/log/message-index.ts'
import { deliveryKeys } from '../../../src/receive/delivery-stats.ts'
import { parseDelivery, toLogEntry } from '../../../src/receive/log-entry.ts'
import type { VerifiedBody } from '../../../src/receive/signature.ts'
import { connectRedis } from '../../../src/redis/connect.ts'
import { rememberConnection } from '../../../src/tools/connect/connections.ts'
import { readProgress } from '../../../src/tools/reconcile/progress.ts'
import { newProgress, type ReconcileOptions, reconcile } from '../../../src/tools/reconcile/reconcile.ts'
import { appApiOf, startCustomerIo } from '../../helpers/customer-io.ts'
import { type FakeMessage, fakeMessage, serveMessages } from '../../helpers/fake-messages.ts'
import { startRedis } from '../../helpers/redis.ts'
import { ENDPOINT, fakeWebhook } from '../../helpers/reporting-webhook.ts'
import { until } from '../../helpers/server.ts'
import { testSource } from '../../helpers/source.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const connection = connectRedis(redis.address)
t.teardown(() => connection.disconnect())
await until('a connection', async () => connection.status === 'ready')

const DAY = 86_400
const nowSeconds = Math.floor(Date.now() / 1000)
const start = nowSeconds - 3 * DAY
const index = createMessageIndex(undefined)
const source = testSource()

interface LoggedEvent {
  readonly id: string
  readonly type: string
  readonly source: string
  readonly subject?: string
  readonly time: string
  readonly receivedtime: string
  readonly backfilled?: boolean
  readonly data: { readonly event_id: string; readonly data: { readonly failure_message?: string } }
}

let prefixes = 0
/** A log with an index since four days, to which deliveries came until now. */
async function newWorld(t: Test, messages: readonly FakeMessage[], { partitions = 1 } = {}) {
  const keyPrefix = `t${++prefixes}:`
  const fake = await startCustomerIo(t)
  fake.appKeys.add('app-key')
  serveMessages(fake, messages)
  if (partitions > 1) await redis.client.set(`${keyPrefix}partitions`, partitions)
  for (let partition = 0; partition < partitions; partition++) {
    const { messages: keys } = partitionKeys(keyPrefix, partition)
    await redis.client.set(keys.keyId, 'none')
    await redis.client.set(
      keys.generations,
      formatGenerations([{ number: 1, buckets: 256, openedAtMs: (nowSeconds - 4 * DAY) * 1000 }])
    )
  }
  await arrivedUntil(keyPrefix, Date.now())
  const eventLog = createEventLog({
    redis: connection,
    keyPrefix,
    partitions,
    maxLength: 1_000_000,
    messageIndex: index,
    durabilityWait: undefined,
    isRedisUp: () => true
  })
  const options = (change: Partial<ReconcileOptions> = {}): ReconcileOptions => ({
    redis: connection,
    keyPrefix,
    api: appApiOf(fake),
    index,
    indexMs: 8 * DAY * 1000,
    source,
    eventLog,
    eventsPerSecond: 100_000,
    signal: new AbortController().signal,
    now: Date.now,
    onProgress: () => {},
    lockWaitMs: 0,
    ...change
  })
  const progress = (fill = false) =>
    newProgress(
      { fromSeconds: nowSeconds - 4 * DAY, toSeconds: nowSeconds },
      { runner: 'command', source: source.name, fill, startedAtMs: Date.now() }
    )
  /** What a delivery of Customer.io does. */
  const deliver = (message: FakeMessage, metric: string, change: Record<string, unknown> = {}) =>
    eventLog.append(
      toLogEntry(
        parseDelivery(
          Buffer.from(JSON.stringify({ ...payload(message, metric), ...change })) as VerifiedBody,
          {
            source,
            receivedAtMs: Date.now(),
            timestamp: '',
            idHeader: undefined,
            parkedAs: undefined,
            fromDoctor: false
          }
        )
      )
    )
  const events = async () => {
    const found: LoggedEvent[] = []
    for (let partition = 0; partition < partitions; partition++) {
      for (const [, fields] of await redis.client.xrange(`${keyPrefix}events:{${partition}}`, '-', '+')) {
        found.push(JSON.parse(fields[3] ?? ''))
      }
    }
    return found
  }
  return { keyPrefix, fake, options, progress, deliver, events }
}

const arrivedUntil = (keyPrefix: string, happenedAtMs: number) =>
  redis.client.hset(
    deliveryKeys(keyPrefix).last,
    'default',
    JSON.stringify({ at: Date.now(), outcome: 'accepted', ageSeconds: (Date.now() - happenedAtMs) / 1000 })
  )

const payload = (message: FakeMessage, metric: string) => ({
  event_id: `${message.id}-${metric}`,
  object_type: message.type === 'twilio' ? 'sms' : message.type,
  metric,
  timestamp: message.metrics[metric],
  data: {
    customer_id: message.customer_id,
    identifiers: message.customer_identifiers,
    delivery_id: message.id,
    campaign_id: message.campaign_id,
    recipient: message.recipient
  }
})

const someMessages = (count: number): FakeMessage[] =>
  Array.from({ length: count }, (_, n) => fakeMessage(`M${n}`, start + n))

t.test(
  'events that were delivered are found, others are missing by type, metric, campaign and hour',
  async t => {
    const messages = someMessages(3)
    const { options, progress, deliver, events } = await newWorld(t, messages)
    for (const message of messages) await deliver(message, 'sent')
    const [first] = messages
    if (first !== undefined) await deliver(first, 'delivered')
    const { report, isFinished } = await reconcile(options(), progress())
    t.match(report, { messages: 3, checked: 6, found: 4, missing: 2, waiting: 0, filled: 0 })
    t.same(report.byObjectType, { email: { checked: 6, missing: 2 } })
    t.same(report.byMetric, { sent: { checked: 3, missing: 0 }, delivered: { checked: 3, missing: 2 } })
    t.same(report.byCampaign, { 'campaign 23': { checked: 6, missing: 2 } })
    t.equal(
      Object.values(report.byHour).reduce((sum, { missing }) => sum + missing, 0),
      2
    )
    t.same(report.notChecked.otherMetrics, { drafted: 3 }, 'counts such as human_opened are not metrics')
    t.ok(isFinished)
    t.equal((await events()).length, 4, 'a report appends nothing')
  }
)

t.test('missing events are appended once, in order of time, sanitized, and marked', async t => {
  const messages = someMessages(30)
  messages.push(
    fakeMessage('GONE', start, { customer_id: null, customer_identifiers: null, recipient: null })
  )
  messages.push(
    fakeMessage('TEXT', start, { type: 'twilio', recipient: '+15550109999', metrics: { sent: start + 1 } }),
    fakeMessage('LOST', start, {
      failure_message: 'no mailbox of ada@example.com',
      metrics: { bounced: start + 2 }
    })
  )
  const { keyPrefix, options, progress, events } = await newWorld(t, messages)
  const { report } = await reconcile(options(), progress(true))
  t.match(report, { checked: 64, missing: 64, filled: 64, arrived: 0 })
  const appended = await events()
  t.equal(appended.length, 64)
  const times = appended.map(({ time }) => time)
  t.same(times, times.toSorted(), 'in order of time')
  t.ok(appended.every(event => event.backfilled === true && event.source === '/customerio/default'))
  const sms = appended.find(({ type }) => type === 'io.customer.sms.sent')
  t.match(sms, {
    id: /^backfilled-[0-9a-f]{32}$/,
    subject: 'customer-of-TEXT',
    time: new Date((start + 1) * 1000).toISOString(),
    data: {
      object_type: 'sms',
      metric: 'sent',
      timestamp: start + 1,
      data: { delivery_id: 'TEXT', campaign_id: 23 }
    }
  })
  t.equal(sms?.data.event_id, sms?.id)
  t.ok(Math.abs(Date.parse(sms?.receivedtime ?? '') - Date.now()) < 60_000)
  t.notMatch(JSON.stringify(appended), /@example\.com|Welcome|5550109999/)
  t.match(
    appended.find(({ type }) => type === 'io.customer.email.bounced')?.data.data.failure_message,
    /no mailbox/
  )
  t.equal(appended.filter(({ subject }) => subject === undefined).length, 2, 'of the deleted person')

  const second = await reconcile(options(), progress(true))
  t.match(second.report, { checked: 64, found: 64, missing: 0, filled: 0 })
  t.equal((await events()).length, 64)
  t.same(await redis.client.keys(`${keyPrefix}{reconcile}*`), [], 'nothing is left')
})

t.test(
  'a late original is a duplicate, and an event of another person is found in any partition',
  async t => {
    const messages = someMessages(40)
    const { options, progress, deliver, events } = await newWorld(t, messages, { partitions: 3 })
    for (const message of messages.slice(0, 20)) {
      await deliver({ ...message, customer_id: 'another', customer_identifiers: null }, 'sent')
    }
    const { report } = await reconcile(options(), progress(true))
    t.match(report, { checked: 80, found: 20, filled: 60 })
    for (const message of messages.slice(20)) t.equal(await deliver(message, 'sent'), 'duplicate')
    t.equal((await events()).length, 80)
  }
)

t.test(
  'what is newer than the events that arrive now is still in the queue: not missing, not filled',
  async t => {
    const messages = someMessages(10)
    messages.push(...Array.from({ length: 5 }, (_, n) => fakeMessage(`NEW${n}`, nowSeconds - 3600 + n)))
    const { keyPrefix, options, progress } = await newWorld(t, messages)
    await arrivedUntil(keyPrefix, (nowSeconds - 7200) * 1000)
    const { report } = await reconcile(options(), progress(true))
    t.match(report, { checked: 20, missing: 20, filled: 20, waiting: 10 })
    await arrivedUntil(keyPrefix, Date.now())
    t.match((await reconcile(options(), progress())).report, { found: 20, missing: 10, waiting: 0 })
  }
)

t.test('events before the index, and those that the webhook does not ask for, are not missing', async t => {
  const messages = [fakeMessage('OLD', nowSeconds - 4 * DAY + 60), fakeMessage('NEW', start)]
  const { fake, options, progress } = await newWorld(t, messages)
  fake.webhooks.push({
    id: 1,
    type: 'http',
    name: 'ours',
    endpoint: 'https://hooks.example.com/api/cio/webhook/',
    events: ['email_delivered'],
    disabled: true,
    full_resolution: true,
    with_content: false
  })
  const { report } = await reconcile(options(), progress())
  t.match(report, { checked: 1, missing: 1, notChecked: { beforeIndex: 2, notInWebhook: { email_sent: 1 } } })
})

t.test(
  'of a webhook that was connected, the one that posts to its endpoint now says what to expect',
  async t => {
    const endpoint = 'https://hooks.example.com/cio'
    const webhook = (id: number, of: string, events: readonly string[]) => ({
      ...{ id, type: 'http', name: 'ours', endpoint: of, events },
      ...{ disabled: false, full_resolution: true, with_content: false }
    })
    const { keyPrefix, fake, options, progress } = await newWorld(t, [fakeMessage('NEW', start)])
    const connection = { source: source.name, endpoint, events: ['email.delivered'], webhook: '7' }
    await rememberConnection(redis.client, keyPrefix, connection)
    const notInWebhook = async () => (await reconcile(options(), progress())).report.notChecked.notInWebhook

    fake.webhooks.push(webhook(9, endpoint, ['email_delivered']))
    t.same(await notInWebhook(), { email_sent: 1 }, 'it was recreated by hand, with another id')
    fake.webhooks.push(webhook(7, 'https://staging.example.com/cio', ['email_sent']))
    t.same(await notInWebhook(), { email_sent: 1 }, 'the old one posts elsewhere')
    fake.webhooks.shift()
    t.same(await notInWebhook(), { email_delivered: 1 }, 'nothing else posts there')
  }
)

t.test('an odd webhook stops the comparison of its own source only', async t => {
  const { fake, options, progress } = await newWorld(t, [fakeMessage('NEW', start)])
  const webhook = fakeWebhook({ id: 1, endpoint: ENDPOINT, events: ['email_sent'] })
  const answer = (...webhooks: readonly object[]) =>
    fake.routes.set('GET /v1/reporting_webhooks', () => ({
      status: 200,
      body: JSON.stringify({ reporting_webhooks: webhooks })
    }))
  const compared = () => reconcile(options(), progress())
  answer({ ...webhook, id: 2, endpoint: `${ENDPOINT}/crm`, disabled: 'no' }, webhook)
  t.same((await compared()).report.notChecked.notInWebhook, { email_delivered: 1 })
  answer({ ...webhook, disabled: 'no' })
  await t.rejects(compared(), /disabled of the webhook 1 is missing or invalid/)
  answer({ ...webhook, events: null })
  t.same(
    (await compared()).report.notChecked.notInWebhook,
    { email_delivered: 1, email_sent: 1 },
    'no events'
  )
})

t.test('if the list of messages is null, there is none', async t => {
  const { fake, options, progress } = await newWorld(t, [])
  fake.routes.set('GET /v1/messages', () => ({ status: 200, body: '{"messages":null,"next":""}' }))
  t.match(await reconcile(options(), progress()), {
    isFinished: true,
    report: { messages: 0, notChecked: { unreadable: 0 } }
  })
})

t.test('it stops with the cause, and goes on where it was, also in the middle of filling', async t => {
  const messages = someMessages(3500)
  const { keyPrefix, fake, options, progress, events } = await newWorld(t, messages)
  const requests = () =>
    fake.requests.filter(request => request.includes('/v1/messages') && request.endsWith(' 200'))
  fake.appKeys.clear()
  await t.rejects(reconcile(options(), progress(true)), /refused CIO_APP_API_KEY \(status 401\)/)
  fake.appKeys.add('app-key')

  const first = new AbortController()
  const interrupted = await reconcile(
    options({ signal: first.signal, onProgress: () => void (requests().length === 2 && first.abort()) }),
    progress(true)
  )
  t.notOk(interrupted.isFinished)
  t.equal(interrupted.report.messages, 2000)

  const second = new AbortController()
  const begun = await readProgress(connection, keyPrefix)
  if (begun === undefined) throw new Error('no progress')
  const filling = await reconcile(
    options({
      signal: second.signal,
      eventsPerSecond: 4000,
      onProgress: step => void (step.includes('filled') && second.abort())
    }),
    begun
  )
  t.notOk(filling.isFinished)
  t.equal(requests().length, 4, 'no page is read again')
  const appended = (await events()).length
  t.ok(appended > 0 && appended < 7000, `${appended} appended`)

  const last = await readProgress(connection, keyPrefix)
  if (last === undefined) throw new Error('no progress')
  t.notMatch(JSON.stringify(last), /customer-of|example\.com/)
  const { report, isFinished } = await reconcile(options(), last)
  t.ok(isFinished)
  t.match(report, { messages: 3500, checked: 7000, missing: 7000, filled: 7000 })
  t.equal(new Set((await events()).map(({ id }) => id)).size, 7000)
  t.equal((await events()).length, 7000)
})

t.test('it asks again after 429, 5xx and answers that are not JSON', async t => {
  const { fake, options, progress } = await newWorld(t, someMessages(1500))
  fake.next.push(
    { status: 200, body: '{"reporting_webhooks":[]}' },
    { status: 429, body: '{}', headers: { 'retry-after': '1' } },
    { status: 502, body: '<html>' }
  )
  t.match((await reconcile(options(), progress())).report, { messages: 1500, missing: 3000 })
})

t.test('only one process compares at a time', async t => {
  const { options, progress } = await newWorld(t, someMessages(2))
  const results = await Promise.allSettled([1, 2].map(() => reconcile(options(), progress())))
  t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  t.match(
    results.find(({ status }) => status === 'rejected'),
    { reason: /another cio-webhook reconcile/ }
  )
})

t.test('without a message index it says what to set', async t => {
  const { keyPrefix, options, progress } = await newWorld(t, [])
  await redis.client.del(partitionKeys(keyPrefix, 0).messages.keyId)
  await t.rejects(reconcile(options(), progress()), /no message index yet.*CIO_APP_API_KEY/)
})

t.test(
  'an index that starts again during the comparison ends it, and no event that arrived is appended again',
  async t => {
    const messages = someMessages(1200)
    const { keyPrefix, fake, options, progress, deliver, events } = await newWorld(t, messages)
    for (const message of messages) await deliver(message, 'sent')
    const list = fake.routes.get('GET /v1/messages')
    fake.routes.set('GET /v1/messages', request => {
      // What the maintenance of a replica without CIO_APP_API_KEY does.
      if (request.url.searchParams.has('start')) void restartIndex(keyPrefix)
      return { ...(list?.(request) ?? { status: 500, body: '' }), delayMs: 100 }
    })
    const filling = { ...progress(true), startedAtMs: Date.now() - 60_000 }
    await t.rejects(reconcile(options(), filling), /index started again/)
    t.equal((await events()).length, 1200)
    t.equal(await readProgress(connection, keyPrefix), undefined, 'it cannot be continued')
  }
)

t.test('a stop ends the comparison at once, also while Customer.io does not answer', async t => {
  const { fake, options, progress } = await newWorld(t, someMessages(1500))
  for (const requests of [0, 1, 2]) {
    const stopping = new AbortController()
    const before = fake.requestTimesMs.length
    const webhooks = { status: 200, body: '{"reporting_webhooks":[]}' }
    const page = { status: 200, body: JSON.stringify({ messages: someMessages(1), next: 'b' }) }
    fake.next.splice(0, Infinity, ...[webhooks, page].slice(0, requests), { ...page, delayMs: 30_000 })
    const compared = reconcile(options({ signal: stopping.signal }), progress())
    await until('the request', async () => fake.requestTimesMs.length > before + requests)
    const stoppedMs = performance.now()
    stopping.abort()
    t.match(await compared, { isFinished: false, report: { messages: requests === 2 ? 1 : 0 } })
    t.ok(performance.now() - stoppedMs < 10_000)
  }
})

t.test('an index that starts again while events are appended ends that', async t => {
  const messages = someMessages(600)
  const { keyPrefix, options, progress, events } = await newWorld(t, messages)
  const restarting = options({
    eventsPerSecond: 400,
    onProgress: step => void (step.includes('filled') && restartIndex(keyPrefix))
  })
  const filling = { ...progress(true), startedAtMs: Date.now() - 60_000 }
  await t.rejects(reconcile(restarting, filling), /index started again/)
  const appended = (await events()).length
  t.ok(appended > 0 && appended < 1200, `${appended} appended`)
})

t.test('what is older than RECONCILE_DAYS is not checked, although the index has not expired it', async t => {
  const { options, progress } = await newWorld(t, someMessages(2))
  const { report } = await reconcile(options({ indexMs: 2 * DAY * 1000 }), progress(true))
  t.match(report, { checked: 0, missing: 0, filled: 0, notChecked: { beforeIndex: 4 } })
})

t.test('names and times of odd messages neither end the comparison nor damage the report', async t => {
  const odd = {
    sent: 9e15,
    delivered: -1,
    opened: start * 1000,
    clicked: 1.5,
    constructor: 1,
    bounced: start
  }
  const { keyPrefix, fake, options, progress, events } = await newWorld(t, [])
  const list = [
    fakeMessage('ODD', start, { metrics: odd }),
    fakeMessage('TYPE', start, { type: 'constructor', metrics: { sent: start } }),
    fakeMessage('PROTO', start, { type: '__proto__', metrics: { sent: start } }),
    { id: 'PARENT', type: 'email', campaign_id: '\u001b[2J', metrics: { sent: start } },
    { type: 'email' },
    null
  ]
  fake.routes.set('GET /v1/messages', () => ({
    status: 200,
    body: JSON.stringify({ messages: list, next: '' }).replace('"clicked"', '"__proto__":1,"clicked"')
  }))
  const stopped = new AbortController()
  const once = options({ signal: stopped.signal, onProgress: () => stopped.abort() })
  await reconcile(once, { ...progress(true), cursor: 'x' })
  const stored = await readProgress(connection, keyPrefix)
  t.ok(stored, 'the report can be stored and read')
  t.match(stored?.report, {
    checked: 3,
    missing: 3,
    waiting: 0,
    byObjectType: { email: { checked: 2 }, constructor: { checked: 1 } },
    byCampaign: { campaign: { checked: 1 } },
    notChecked: { unreadable: 2, otherMetrics: { constructor: 1, opened: 1, sent: 2 } }
  })
  await reconcile(options(), progress(true))
  t.same((await events()).map(({ type }) => type).sort(), [
    'io.customer.constructor.sent',
    'io.customer.email.bounced',
    'io.customer.email.sent'
  ])
})

t.test('a list that cannot be read, or that never ends, is an error: not a complete log', async t => {
  const { fake, options, progress } = await newWorld(t, [])
  let pages = 0
  const respond = (messages: unknown[], next: () => string) =>
    fake.routes.set('GET /v1/messages', () => ({
      status: 200,
      body: JSON.stringify({ messages, next: next() })
    }))
  respond([{ message_id: 1 }], () => '')
  await t.rejects(reconcile(options(), progress()), /another form than documented: no message has an id/)
  respond([], () => ['a', 'b', 'c'][pages++ % 3] ?? '')
  await t.rejects(reconcile(options(), progress()), /cursor .* leads back/)
  respond([], () => 'the same')
  t.match(await reconcile(options(), progress()), { isFinished: true })
  respond(Array(1000).fill(someMessages(1)[0]), () => 'the same')
  await t.rejects(reconcile(options(), progress()), /cursor .* leads back/)
})

t.test('a message that is on two pages, because others were sent meanwhile, counts once', async t => {
  const [a, b, c] = someMessages(3)
  const { keyPrefix, fake, options, progress, events } = await newWorld(t, [])
  const pages: Readonly<Record<string, unknown>> = {
    '': { messages: [a, b], next: 'second' },
    second: { messages: [b, c], next: '' }
  }
  fake.routes.set('GET /v1/messages', ({ url }) => ({
    status: 200,
    body: JSON.stringify(pages[url.searchParams.get('start') ?? ''])
  }))
  const first = new AbortController()
  await reconcile(options({ signal: first.signal, onProgress: () => first.abort() }), progress())
  const interrupted = await readProgress(connection, keyPrefix)
  if (interrupted === undefined) throw new Error('no progress')
  t.match(interrupted, { cursor: 'second', report: { messages: 2 } })
  t.notOk(JSON.stringify(interrupted).includes(b?.id ?? ''), 'the id of a message is sensitive')
  const { report } = await reconcile(options(), interrupted)
  t.match(report, { messages: 3, checked: 6, missing: 6 }, 'also if it was interrupted between them')

  t.match((await reconcile(options(), progress(true))).report, {
    messages: 3,
    checked: 6,
    missing: 6,
    filled: 6
  })
  t.equal((await events()).length, 6)
})

t.test('while every delivery is refused because of its address, nothing is missing yet', async t => {
  const { keyPrefix, options, progress } = await newWorld(t, someMessages(2))
  const refused = JSON.stringify({ at: Date.now(), outcome: 'source_forbidden' })
  await redis.client.hset(deliveryKeys(keyPrefix).last, 'default', refused)
  t.match((await reconcile(options(), progress(true))).report, { missing: 0, waiting: 4, filled: 0 })
})

const restartIndex = (keyPrefix: string) =>
  redis.client.set(
    partitionKeys(keyPrefix, 0).messages.generations,
    formatGenerations([{ number: 2, buckets: 256, openedAtMs: Date.now() }])
  )
