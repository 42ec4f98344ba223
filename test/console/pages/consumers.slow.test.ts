import t, { type Test } from 'tap'
import { letterFilter, letterSearch } from '../../../src/console/pages/consumers/letter-query.ts'
import { reasonCounts } from '../../../src/console/pages/consumers/reason-counts.ts'
import { consumerSnapshots } from '../../../src/console/pages/consumers/snapshot.ts'
import { deadLetters } from '../../../src/group/dead-letters.ts'
import {
  type ConsoleClient,
  PASSWORD,
  startTestConsole,
  type TestConsole,
  VIEWER_PASSWORD
} from '../../helpers/console.ts'
import { deliveryBody } from '../../helpers/consumers.ts'
import { consumersFile, httpConsumer, WEBHOOK_SECRET } from '../../helpers/consumers-file.ts'
import { appendEvent } from '../../helpers/log.ts'
import { answers, startReceiver, type TestReceiver } from '../../helpers/receiver.ts'
import { connectedRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())
const letters = deadLetters(redis.connection, 'cio:')

interface Opened extends TestConsole {
  readonly crm: TestReceiver
  readonly operator: ConsoleClient
  readonly viewer: ConsoleClient
}

/** A console with the push consumer `crm`, and with two people. */
async function open(t: Test, changes: Record<string, unknown> = {}): Promise<Opened> {
  const crm = await startReceiver(answers(200))
  const opened = await startTestConsole(redis.url, {
    CONSOLE_PASSWORD: PASSWORD,
    CONSOLE_VIEWER_PASSWORD: VIEWER_PASSWORD,
    CONSUMERS_FILE: consumersFile(
      httpConsumer('crm', `${crm.url}?token=hidden`, { maxAttempts: 1, ...changes })
    )
  })
  t.teardown(async () => {
    await opened.service.close()
    await crm.stop()
  })
  const [operator, viewer] = [opened.client(), opened.client()]
  await operator.logIn(PASSWORD)
  await viewer.logIn(VIEWER_PASSWORD)
  return { ...opened, crm, operator, viewer }
}

const statusOf = (page: string): string => /role="status">([^<]*)</.exec(page)?.[1] ?? ''

/** Dead letters of `crm` whose events are in the log, as far as the group has read it. */
async function addLetters(count: number, type = 'io.customer.email.opened'): Promise<void> {
  for (let index = 0; index < count; index++) {
    const id = await appendEvent(redis.client, { id: `event-${index}`, type })
    const [entry] = await redis.client.xrange('cio:events:{0}', id, id)
    const event = entry?.[1][3] ?? ''
    await letters.add(
      'crm',
      { position: `0-${id}`, type, event },
      { reason: 'failed', error: new Error('status 503'), attempts: 1 }
    )
  }
}

t.test('pause, resume and enable change Redis and the consumer, and are audit records', async t => {
  const { service, crm, operator, viewer } = await open(t)
  await until('the consumer', async () => (await operator.get('/consumers/crm')).text.includes('>ok<'))
  const list = await viewer.get('/consumers')
  t.match(list.text, 'href="/consumers/crm"')
  const paused = await operator.post('/consumers/crm/pause')
  t.same([paused.status, paused.headers['location']], [303, '/consumers/crm?done=pause'])
  t.match(statusOf((await operator.get('/consumers/crm?done=pause')).text), 'Paused: within 2 s')
  t.equal(await redis.client.hexists('cio:paused', 'crm'), 1)
  await new Promise(resolve => setTimeout(resolve, 2500))
  await service.post(deliveryBody('while-paused'))
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(crm.requests.length, 0)
  t.equal((await operator.post('/consumers/crm/resume')).status, 303)
  await until('the event', async () => crm.requests.length === 1)

  crm.behave(answers(410))
  await service.post(deliveryBody('gone'))
  await until('disabled', async () => (await operator.get('/consumers/crm')).text.includes('>disabled<'))
  crm.behave(answers(200))
  t.equal((await operator.post('/consumers/crm/enable')).status, 303)
  await until('the event again', async () => crm.requests.length >= 3)
  const audit = (await operator.get('/audit')).text
  for (const action of ['consumer_paused', 'consumer_resumed', 'consumer_enabled']) t.match(audit, action)
})

t.test('a change that failed is an audit record, because a part of it may have happened', async t => {
  const { operator } = await open(t, { types: ['sms.*'] })
  await until('the consumer', async () => (await operator.get('/consumers/crm')).text.includes('>ok<'))
  await redis.client.set('cio:paused', 'not a hash')
  t.equal((await operator.post('/consumers/crm/pause')).status, 500)
  await redis.client.del('cio:paused')
  t.equal((await operator.post('/consumers/other/pause')).status, 404)
  const audit = (await operator.get('/audit')).text
  t.match(audit, /consumer_paused<\/code><\/td><td>crm, failed</)
  t.notMatch(audit, '<td>other', 'one that was refused had no effect')
})

t.test('the page of a consumer shows its settings and attempts, and no secret', async t => {
  const { service, operator, crm } = await open(t)
  await service.post(deliveryBody('first'))
  await until('the delivery', async () => crm.requests.length === 1)
  const page = await until('the attempt', async () => {
    const { text } = await operator.get('/consumers/crm')
    return text.includes('href="/events/first"') && text.includes('per minute</dt><dd>1<') && text
  })
  t.match(page, /<code>maxAttempts<\/code>/)
  t.match(page, /delivered/)
  t.match(page, />200</)
  t.notMatch(page, WEBHOOK_SECRET)
  t.notMatch(page, 'token=hidden')
  const test = await operator.post('/consumers/crm/test')
  t.equal(test.status, 200)
  t.match(test.text, /accepted<\/span> after \d+ ms/)
  t.match(test.text, 'io.customer.cio_webhook.test')
  t.equal(crm.requests.length, 2)
  t.match(crm.requests[1]?.body, 'io.customer.cio_webhook.test')
})

t.test('a viewer has no buttons, and every request that changes something is refused', async t => {
  const { viewer } = await open(t)
  await addLetters(1)
  await until('the consumer', async () => (await viewer.get('/consumers/crm')).text.includes('>ok<'))
  const letter = (await letters.list('crm', 1))[0]?.letter ?? ''
  for (const path of [
    '/consumers/crm',
    '/consumers/crm/dead-letters',
    `/consumers/crm/dead-letters/${letter}`,
    '/parked'
  ]) {
    const { status, text } = await viewer.get(path)
    t.equal(status, 200, path)
    t.same(
      [...text.matchAll(/<form method="post" action="([^"]*)"/g)].map(([, action]) => action),
      ['/log-out', '/theme'],
      path
    )
  }
  for (const path of ['pause', 'resume', 'enable', 'test', 'remove', 'dead-letters', 'progress/stop']) {
    const fields = { action: 'drop matching', confirmed: 'yes' }
    t.equal((await viewer.post(`/consumers/crm/${path}`, fields)).status, 403, path)
  }
  t.equal((await viewer.get('/consumers/crm/remove')).status, 403)
  t.equal((await viewer.post('/parked', { action: 'drop', delivery: 'all', confirmed: 'yes' })).status, 403)
  t.equal(await letters.count('crm'), 1)
  t.equal(await redis.client.exists('cio:paused'), 0)
})

t.test(
  'replaying and dropping dead letters asks where it must, and changes Redis and the consumer',
  async t => {
    const { operator, crm } = await open(t)
    await until('the consumer', async () => (await operator.get('/consumers/crm')).text.includes('>ok<'))
    await addLetters(3)
    await until('their first delivery', async () => crm.requests.length === 3)
    await addLetters(1, 'io.customer.push.sent')
    await until('its first delivery', async () => crm.requests.length === 4)
    const [first, second] = (await letters.list('crm', 4)).map(({ letter }) => letter)
    const page = await operator.get('/consumers/crm/dead-letters')
    t.equal(page.text.match(/type="checkbox"/g)?.length, 4)
    const one = await operator.get(`/consumers/crm/dead-letters/${first}`)
    t.match(one.text, 'Error: status 503')
    t.match(one.text, /json-name/)

    const replayed = await operator.post('/consumers/crm/dead-letters', {
      action: 'replay selected',
      id: first ?? ''
    })
    t.same([replayed.status, replayed.headers['location']], [303, '/consumers/crm/dead-letters'])
    t.match(statusOf((await operator.get('/consumers/crm/dead-letters')).text), '1 replayed')
    await until('the event again', async () => crm.requests.length === 5)
    t.equal(await letters.count('crm'), 3)

    const asked = await operator.post('/consumers/crm/dead-letters', {
      action: 'drop selected',
      id: second ?? ''
    })
    t.equal(asked.status, 200)
    t.match(asked.text, 'Drop 1 dead letter of crm?')
    t.equal(await letters.count('crm'), 3)
    await operator.post('/consumers/crm/dead-letters', {
      action: 'drop selected',
      id: second ?? '',
      confirmed: 'yes'
    })
    t.equal(await letters.count('crm'), 2)

    const filter = { type: 'push.*', since: '', reason: '' }
    const matching = await operator.post('/consumers/crm/dead-letters', {
      action: 'replay matching',
      ...filter
    })
    t.match(matching.text, 'Replay 1 dead letter of crm?')
    await operator.post('/consumers/crm/dead-letters', {
      action: 'replay matching',
      confirmed: 'yes',
      ...filter
    })
    await until('the push event', async () => crm.requests.length === 6)
    t.match(crm.requests[5]?.body, 'io.customer.push.sent')
    t.same(
      (await letters.list('crm', 4)).map(({ type }) => type),
      ['io.customer.email.opened']
    )
    const audit = (await operator.get('/audit')).text
    t.match(audit, `crm: ${first}`)
    t.match(audit, 'dead_letters_dropped')
    t.match(audit, 'crm: ?type=push.*')
  }
)

t.test('dead letters of a removed consumer are on the list until they are dropped', async t => {
  const { operator } = await open(t)
  await until('the consumer', async () => (await operator.get('/consumers/crm')).text.includes('>ok<'))
  await addLetters(2)
  await operator.get('/consumers/crm/remove')
  // It is in CONSUMERS_FILE and running, so its group comes back: this is about one that does not.
  await redis.client.xgroup('CREATE', 'cio:events:{0}', 'old', '0', 'MKSTREAM')
  await redis.client.rename('cio:dead:crm', 'cio:dead:old')
  const removed = await operator.post('/consumers/old/remove')
  t.equal(removed.headers['location'], '/consumers?removed=old')
  const list = await until('the list', async () => {
    const { text } = await operator.get('/consumers?removed=old')
    return text.includes('Removed, but with dead letters') && text
  })
  t.match(statusOf(list), 'old was removed.')
  t.match(list, '<a href="/consumers/old/dead-letters">2</a>')
  const page = await operator.get('/consumers/old/dead-letters')
  t.match(page.text, 'event-1')
  const replayed = await operator.post('/consumers/old/dead-letters', {
    action: 'replay matching',
    confirmed: 'yes'
  })
  t.match(replayed, { status: 400, text: 'old has no consumer group yet' })
  await operator.get('/consumers/old/dead-letters')
  const dropped = await operator.post('/consumers/old/dead-letters', {
    action: 'drop matching',
    confirmed: 'yes'
  })
  t.equal(dropped.status, 303)
  await until('the end', async () => !(await operator.get('/consumers')).text.includes('Removed, but'))
})

t.test('the list repeats no text from its address that cannot be a name', async t => {
  const { operator } = await open(t)
  for (const text of ['All data. Call +1 555 0100', 'a/b', '<b>', 'x'.repeat(65), '']) {
    const page = await operator.get(`/consumers?removed=${encodeURIComponent(text)}`)
    t.equal(statusOf(page.text), 'The consumer was removed.', text)
  }
})

t.test('dead letters are counted by reason again only when their number has changed', async t => {
  let calls = 0
  const count = reasonCounts({
    deadByReason: async name => ({ [`${name} ${++calls}`]: 1 })
  })
  t.same(await count('crm', 5), { 'crm 1': 1 })
  t.same(await count('crm', 5), { 'crm 1': 1 })
  t.same(await count('crm', 6), { 'crm 2': 1 })
  t.same(await count('other', 6), { 'other 3': 1 })
})

t.test('a snapshot is shared, and an older one is shown while a newer one takes long', async t => {
  let nowMs = 0
  let delayMs = 0
  let reads = 0
  const read = consumerSnapshots(
    async () => {
      reads++
      await new Promise(resolve => setTimeout(resolve, delayMs))
      return { consumers: [], parked: 0, removedConsumers: [] }
    },
    () => nowMs
  )
  t.match(await Promise.all([read(), read()]), [{ atMs: 0 }, { atMs: 0 }])
  t.match(await read(), { atMs: 0 })
  t.equal(reads, 1)
  nowMs = 2000
  t.match(await read(), { atMs: 2000 }, 'a fast read is waited for')
  delayMs = 400
  nowMs = 5000
  t.match(await read(), { atMs: 2000 }, 'a slow one is not')
  await new Promise(resolve => setTimeout(resolve, 500))
  t.match(await read(), { atMs: 5000 })
  nowMs = 60_000
  t.match(await read(), { atMs: 60_000 }, 'but one that is far too old is not shown')
  t.equal(reads, 4)
})

t.test('a filter that is not one is refused in words', async t => {
  const empty = { type: '', since: '', reason: '' }
  t.same(letterFilter(empty), { types: undefined, sinceMs: undefined, reason: undefined })
  t.same(letterFilter({ ...empty, since: '2026-11-27T03:00' }).sinceMs, Date.UTC(2026, 10, 27, 3))
  for (const wrong of [{ since: 'yesterday' }, { since: '2026-13-27T03:00' }, { reason: 'bored' }]) {
    t.throws(() => letterFilter({ ...empty, ...wrong }), { name: 'ConsoleError' })
  }
  t.equal(letterSearch({ ...empty, type: 'email.*' }, { after: '1-1' }), '?type=email.*&after=1-1')
  const { operator } = await open(t)
  await addLetters(1)
  const { status, text } = await operator.get('/consumers/crm/dead-letters?type=a.b.c')
  t.equal(status, 400)
  t.match(text, 'Not possible')
  t.equal((await operator.get('/consumers/nobody')).status, 404)
  t.match((await operator.get('/consumers/crn')).text, 'did you mean crm?')
  t.equal((await operator.get('/consumers/crm/dead-letters/1-1')).status, 404)
})
