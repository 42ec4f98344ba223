import t from 'tap'
import { readConsumersFile } from '../../../src/settings/consumers-file.ts'
import type { ConsumerPath } from '../../../src/tools/events/consumer-path.ts'
import { eventPath } from '../../../src/tools/events/event-path.ts'
import { consumersFile, httpConsumer } from '../../helpers/consumers-file.ts'
import { answers, startReceiver } from '../../helpers/receiver.ts'
import { connectedRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { startTestService } from '../../helpers/service.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const redis = await connectedRedis(t)
const [good, bad] = [await startReceiver(answers(200)), await startReceiver(answers(500))]
const file = consumersFile(
  httpConsumer('good', good.url),
  httpConsumer('picky', good.url, { types: ['push.*'] }),
  httpConsumer('retrying', bad.url, { retryDelayMs: 3_600_000 }),
  httpConsumer('failing', bad.url, { maxAttempts: 1 })
)
const service = await startTestService({ REDIS_URL: redis.url, CONSUMERS_FILE: file, PARTITIONS: '2' })
t.teardown(async () => {
  await service.close()
  await good.stop()
  await bad.stop()
})
const options = {
  redis: redis.connection,
  keyPrefix: 'cio:',
  dedupeWindowMs: 8 * DAY_MS,
  consumers: readConsumersFile('CONSUMERS_FILE', file)
}
const post = (id: string) =>
  service.post(
    JSON.stringify({
      event_id: id,
      object_type: 'email',
      metric: 'opened',
      timestamp: 1795510800,
      data: { customer_id: '42', big: 0 }
    }).replace('"big":0', '"big":8202522731445525542')
  )
/** The consumers of the only position of an event, by name. */
async function pathOf(id: string): Promise<Readonly<Record<string, ConsumerPath>>> {
  const paths = await eventPath(options, id)
  if (paths.length !== 1) throw new Error(`${paths.length} positions`)
  return Object.fromEntries((paths[0]?.consumers ?? []).map(path => [path.consumer, path]))
}

t.test('an event is shown with its position and the state of each consumer', async t => {
  for (const partition of [0, 1]) {
    for (const group of ['reader', 'idle']) {
      await redis.client.xgroup('CREATE', `cio:events:{${partition}}`, group, '0', 'MKSTREAM')
    }
  }
  t.equal((await post('e1')).status, 200)
  const states = await until('all consumers', async () => {
    const found = await pathOf('e1')
    const isSettled =
      found['failing']?.state === 'dead' &&
      found['good']?.state === 'acknowledged' &&
      found['retrying']?.waiting?.attempts === 1
    return isSettled && found
  })
  t.match(states, {
    good: { state: 'acknowledged', pending: undefined, waiting: undefined, deadLetter: undefined },
    picky: { state: 'not_wanted' },
    retrying: { state: 'waiting', waiting: { attempts: 1 } },
    failing: {
      state: 'dead',
      deadLetter: { letter: /^\d+-\d+$/, reason: 'failed', error: /status 500/, attempts: 1 }
    },
    reader: { state: 'unread' },
    idle: { state: 'unread' }
  })
  for (const [name, outcome, answer] of [
    ['good', 'delivered', '200'],
    ['retrying', 'failed', '500'],
    ['failing', 'dead', '500']
  ] as const) {
    const attempts = await until('the attempt', async () => {
      const found = (await pathOf('e1'))[name]?.attempts ?? []
      return found.length > 0 && found
    })
    t.match(attempts, [{ consumer: name, eventId: 'e1', attempt: 1, outcome, answer }], name)
  }
  const nextMs = (states['retrying']?.waiting?.nextAttemptAtMs ?? 0) - Date.now()
  t.ok(nextMs > 1_000_000 && nextMs < 7_200_000, `next attempt in ${nextMs} ms`)

  const [path] = await eventPath(options, 'e1')
  const position = path?.position ?? '0-0-0'
  t.match(path, { id: 'e1', source: 'default', type: 'io.customer.email.opened', isTrimmed: false })
  t.match(path?.event, '"big":8202522731445525542')
  for (const name of ['default/e1', position])
    t.equal((await eventPath(options, name))[0]?.position, position, name)
  t.same(await eventPath(options, 'other/e1'), [], 'an event of another source')

  const stream = `cio:events:{${position.split('-')[0]}}`
  await redis.client.xreadgroup('GROUP', 'reader', 'python-1', 'STREAMS', stream, '>')
  t.match((await pathOf('e1'))['reader'], {
    state: 'pending',
    pending: { member: 'python-1', deliveries: 1 }
  })
  await redis.client.xack(stream, 'reader', position.slice(2))
  t.equal((await pathOf('e1'))['reader']?.state, 'acknowledged')
})

t.test('an event that was trimmed is found as long as it is a dead letter', async t => {
  await post('e2')
  await until('a dead letter', async () => (await pathOf('e2'))['failing']?.state === 'dead')
  await until('delivered', async () => (await pathOf('e2'))['good']?.state === 'acknowledged')
  for (const partition of [0, 1]) await redis.client.xtrim(`cio:events:{${partition}}`, 'MAXLEN', 0)
  const [path] = await eventPath(options, 'e2')
  t.match(path, { id: 'e2', isTrimmed: true, event: /8202522731445525542/ })
  t.match(await pathOf('e2'), {
    failing: { state: 'dead' },
    good: { state: 'trimmed' },
    idle: { state: 'trimmed' }
  })
  await redis.client.del('cio:dead:failing')
  t.same(await eventPath(options, 'e2'), [], 'then it is unknown')
})

t.test('an id of two sources is shown at both positions, with `<source>/` at one', async t => {
  for (const source of ['default', 'shop']) {
    const event = {
      specversion: '1.0',
      id: 'same',
      source: `/customerio/${source}`,
      type: 'io.customer.email.sent'
    }
    await redis.client.xadd('cio:events:{1}', '*', 'type', event.type, 'event', JSON.stringify(event))
  }
  t.same(
    (await eventPath(options, 'same')).map(({ source }) => source),
    ['shop', 'default']
  )
  t.same(
    (await eventPath(options, 'shop/same')).map(({ source }) => source),
    ['shop']
  )
})

t.test('an event that reconcile appended is not wanted by a consumer without such events', async t => {
  const event = {
    ...{ specversion: '1.0', id: 'backfilled-1', source: '/customerio/default' },
    ...{ type: 'io.customer.email.opened', subject: '42', backfilled: true },
    ...{ datacontenttype: 'application/json', data: {} }
  }
  const fields = ['type', event.type, 'event', JSON.stringify(event)]
  const id = await redis.client.xadd('cio:events:{0}', '*', ...fields)
  const consumers = readConsumersFile(
    'CONSUMERS_FILE',
    consumersFile(httpConsumer('takes', good.url), httpConsumer('refuses', good.url, { backfilled: false }))
  )
  const [path] = await eventPath({ ...options, consumers }, `0-${id}`)
  const states = path?.consumers.map(({ consumer, state }) => [consumer, state] as const)
  t.match(Object.fromEntries(states ?? []), { takes: 'unread', refuses: 'not_wanted' })
})
