import t, { type Test } from 'tap'
import { createLogger } from '../../../src/ops/logger.ts'
import { connectionKeys, rememberConnection } from '../../../src/tools/connect/connections.ts'
import { createWebhookWatch } from '../../../src/tools/connect/webhook-watch.ts'
import { appApiOf, startCustomerIo } from '../../helpers/customer-io.ts'
import { startRedis } from '../../helpers/redis.ts'
import { ENDPOINT, fakeWebhook } from '../../helpers/reporting-webhook.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
t.beforeEach(() => redis.client.flushall().then(() => {}))

const keys = connectionKeys('cio:')
const HOUR_MS = 3_600_000

async function start(t: Test) {
  const cio = await startCustomerIo(t)
  cio.appKeys.add('app-key')
  cio.webhooks.push(fakeWebhook())
  await rememberConnection(redis.client, 'cio:', {
    source: 'default',
    endpoint: ENDPOINT,
    events: undefined,
    webhook: '7'
  })
  /** One replica. */
  const replica = (
    consumers: readonly { readonly types?: readonly string[] }[] = [],
    sources: readonly string[] = ['default']
  ) => {
    const lines: Record<string, unknown>[] = []
    const states: string[][] = []
    const { log } = createLogger('info', { write: line => void lines.push(JSON.parse(line)) })
    const watch = createWebhookWatch({
      api: appApiOf(cio),
      redis: redis.client,
      keyPrefix: 'cio:',
      sources,
      consumers,
      isRedisUp: () => true,
      metrics: { webhooks: checks => states.push(checks.map(({ source, state }) => `${source} ${state}`)) },
      log
    })
    t.teardown(() => watch.stop())
    return { ...watch, lines, states }
  }
  return { cio, replica }
}

/** Lets the last check become older. */
async function age(ms: number): Promise<void> {
  const check = JSON.parse((await redis.client.get(keys.check)) ?? '{}')
  const checks = check.checks.map((each: { loggedAt?: number }) => ({
    ...each,
    ...(each.loggedAt === undefined ? {} : { loggedAt: each.loggedAt - ms })
  }))
  await redis.client.set(keys.check, JSON.stringify({ at: check.at - ms, checks }))
}

t.test('one replica asks, and all know the state', async t => {
  const { cio, replica } = await start(t)
  const [one, other] = [replica(), replica()]
  await Promise.all([one.refresh(), other.refresh()])
  for (const each of [one, other]) {
    await each.refresh()
    t.same(each.states.at(-1), ['default ok'])
    t.same(each.lines, [], 'a good state at the first check is not worth a line')
  }
  t.equal(cio.requests.length, 1)
})

t.test('a disabled webhook is logged at once and every hour, and also when it is over', async t => {
  const { cio, replica } = await start(t)
  const one = replica()
  await one.refresh()
  cio.webhooks[0] = fakeWebhook({ disabled: true })
  await one.refresh()
  t.same(one.states.at(-1), ['default ok'], 'it is not asked again within five minutes')
  for (let check = 0; check < 3; check++) {
    await age(6 * 60_000)
    await one.refresh()
  }
  t.same(one.states.at(-1), ['default disabled'])
  t.match(one.lines, [
    {
      level: 'error',
      msg: 'reporting webhook at Customer.io: the webhook 7 is disabled at Customer.io',
      fix: `cio-webhook connect ${ENDPOINT} --apply`
    }
  ])
  t.equal(one.lines.length, 1)
  await age(HOUR_MS)
  const another = replica()
  await another.refresh()
  t.equal(another.lines.length, 1, 'an hour later, by whichever replica checks')
  cio.webhooks[0] = fakeWebhook()
  await age(6 * 60_000)
  await another.refresh()
  t.match(another.lines.at(-1), { level: 'info', msg: 'the reporting webhook is as it should be again' })
})

t.test('a revoked key makes a good state unchecked, and leaves a bad one', async t => {
  const { cio, replica } = await start(t)
  const one = replica()
  await one.refresh()
  cio.appKeys.clear()
  await age(6 * 60_000)
  await one.refresh()
  t.same(one.states.at(-1), ['default unchecked'])
  t.match(one.lines, [{ level: 'warn', msg: /refused CIO_APP_API_KEY/ }])
  t.notMatch(JSON.stringify(one.lines), 'app-key')
  cio.appKeys.add('app-key')
  cio.webhooks.length = 0
  await age(6 * 60_000)
  await one.refresh()
  cio.appKeys.clear()
  await age(6 * 60_000)
  await one.refresh()
  t.same(one.states.at(-1), ['default deleted'])
})

t.test('an odd webhook is unchecked, and the other ones are checked', async t => {
  const { cio, replica } = await start(t)
  const crm = `${ENDPOINT}/crm`
  await rememberConnection(redis.client, 'cio:', {
    source: 'crm',
    endpoint: crm,
    events: undefined,
    webhook: '8'
  })
  const one = replica([], ['crm', 'default'])
  const answer = (webhook: object) => {
    const list = [{ ...fakeWebhook({ id: 8, endpoint: crm }), ...webhook }, ...cio.webhooks]
    cio.answer = { status: 200, body: JSON.stringify({ reporting_webhooks: list }) }
  }
  answer({ disabled: 'no' })
  await one.refresh()
  t.same(one.states.at(-1), ['crm unchecked', 'default ok'])
  t.match(one.lines, [{ level: 'warn', msg: /disabled of the webhook 8 is missing or invalid/ }])
  answer({ events: null })
  await age(6 * 60_000)
  await one.refresh()
  t.same(one.states.at(-1), ['crm incomplete', 'default ok'])
  answer({ disabled: 'no' })
  await age(6 * 60_000)
  await one.refresh()
  t.same(one.states.at(-1), ['crm incomplete', 'default ok'], 'a bad state that was known stays')
})

t.test('the cause of an unchecked webhook is that of the last check', async t => {
  const { cio, replica } = await start(t)
  const one = replica()
  cio.next.push({ status: 404, body: '{}' })
  await one.refresh()
  t.match(one.lines, [{ state: 'unchecked', msg: /declined the request with status 404/ }])
  cio.appKeys.clear()
  await age(6 * 60_000)
  await one.refresh()
  t.same(one.states.at(-1), ['default unchecked'])
  t.match(one.lines.at(-1), { state: 'unchecked', msg: /refused CIO_APP_API_KEY/ })
  t.match(JSON.parse((await redis.client.get(keys.check)) ?? ''), {
    checks: [{ problem: /refused CIO_APP_API_KEY/ }]
  })
})

t.test('a type that a consumer names and the webhook does not send is a problem', async t => {
  const { cio, replica } = await start(t)
  await rememberConnection(redis.client, 'cio:', {
    source: 'default',
    endpoint: ENDPOINT,
    events: ['email.*'],
    webhook: '7'
  })
  cio.webhooks[0] = fakeWebhook({
    events: cio.webhooks[0]?.events.filter(name => !name.startsWith('push_')) ?? []
  })
  const one = replica([{}, { types: ['push.opened'] }])
  await one.refresh()
  t.match(one.lines, [{ state: 'incomplete', msg: /does not send push_opened/ }])
})

t.test('the webhook of a source that is no longer configured is not checked', async t => {
  const { cio, replica } = await start(t)
  const endpoint = `${ENDPOINT}/old`
  await rememberConnection(redis.client, 'cio:', { source: 'old', endpoint, events: undefined, webhook: '8' })
  const one = replica()
  await one.refresh()
  t.same([one.states.at(-1), one.lines], [['default ok'], []])
  cio.appKeys.clear()
  await age(6 * 60_000)
  await one.refresh()
  t.same(one.states.at(-1), ['default unchecked'])
})

t.test('without a connection, Customer.io is not asked; what others have damaged is replaced', async t => {
  const { cio, replica } = await start(t)
  await redis.client.del(keys.all)
  await redis.client.set(keys.check, '{"at":"now"}')
  const one = replica()
  await one.refresh()
  t.same([cio.requests, one.states.at(-1), one.lines], [[], [], []])
  t.match(JSON.parse((await redis.client.get(keys.check)) ?? ''), { checks: [] })
})

t.test('a stop does not wait for Customer.io', async t => {
  const { cio, replica } = await start(t)
  cio.answer = { status: 200, body: '{}', delayMs: 9000 }
  const one = replica()
  one.start()
  await new Promise(resolve => setTimeout(resolve, 200))
  const startedMs = performance.now()
  await one.stop()
  t.ok(performance.now() - startedMs < 7000)
  t.equal(await redis.client.exists(keys.asking), 0, 'another replica can ask')
  t.same(one.lines, [])
})
