import t, { type Test } from 'tap'
import { fetchPublishedIps } from '../../src/customerio/ip-addresses.ts'
import { createLogger } from '../../src/ops/logger.ts'
import { publishedAddresses } from '../../src/receive/published-addresses.ts'
import { createPublishedIps } from '../../src/receive/published-ips.ts'
import { appApiOf, startCustomerIo } from '../helpers/customer-io.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { signV0 } from '../helpers/sign.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
t.beforeEach(() => redis.client.flushall().then(() => {}))

const APP_KEY = 'app-key'
const NEW_ADDRESS = '203.0.113.7'

/** One replica. @param maxAgeMs 0: asks at each refresh */
function replica(t: Test, ask: (() => Promise<readonly string[]>) | undefined, maxAgeMs?: number) {
  const lists: (readonly string[])[] = []
  const asked: string[] = []
  const figures: number[][] = []
  const written: string[] = []
  const { log } = createLogger('info', { write: line => void written.push(line) })
  const list = createPublishedIps({
    redis: redis.client,
    keyPrefix: 'cio:',
    isRedisUp: () => true,
    fetchPublishedIps: ask,
    onList: addresses => lists.push(addresses),
    metrics: {
      publishedList: (added, withdrawn) => figures.push([added, withdrawn]),
      publishedListAsked: outcome => asked.push(outcome)
    },
    log,
    ...(maxAgeMs === undefined ? {} : { maxAgeMs })
  })
  t.teardown(() => list.stop())
  return { ...list, lists, asked, figures, written }
}

async function customerIo(t: Test, addresses: unknown = [...publishedAddresses, NEW_ADDRESS]) {
  const cio = await startCustomerIo(t)
  cio.appKeys.add(APP_KEY)
  cio.addresses = addresses
  return { cio, ask: () => fetchPublishedIps(appApiOf(cio, APP_KEY)) }
}

t.test('newly published addresses are added, cached in Redis, and applied by the other replicas', async t => {
  const { cio, ask } = await customerIo(t, [...publishedAddresses.slice(1), NEW_ADDRESS])
  const [one, other, without] = [replica(t, ask), replica(t, ask), replica(t, undefined)]
  await Promise.all([one.refresh(), other.refresh()])
  t.equal(cio.requests.length, 1, 'one replica asks')
  for (const each of [one, other, without]) {
    await each.refresh()
    t.same(each.lists, [[NEW_ADDRESS]], 'passed on once')
    t.same(each.figures.at(-1), [1, 1], 'one added, one withdrawn')
    t.match(each.written.join(''), new RegExp(`"added":\\["${NEW_ADDRESS}"\\]`))
  }
  t.equal(cio.requests.length, 1, 'and not again within the hour')
})

t.test('a list that is an hour old is fetched again, by one replica', async t => {
  const { cio, ask } = await customerIo(t)
  const [one, other] = [replica(t, ask, 0), replica(t, ask, 0)]
  await one.refresh()
  cio.addresses = publishedAddresses
  await Promise.all([one.refresh(), other.refresh()])
  t.ok(cio.requests.length <= 3)
  await one.refresh()
  t.same(one.lists, [[NEW_ADDRESS], []], 'a valid answer without it removes it again')
  await one.refresh()
  const lines = one.written.map(line => JSON.parse(line))
  t.match(lines, [
    {
      level: 'warn',
      added: [NEW_ADDRESS],
      msg: /that are not built in; they are allowed now, unless CIO_ALLOWED_IPS is set$/
    },
    {
      level: 'warn',
      removed: [NEW_ADDRESS],
      msg: /no longer publishes .*; they are no longer allowed, unless CIO_ALLOWED_IPS has them$/
    }
  ])
  t.equal(lines.length, 2, 'each once')
  t.equal(lines[1].added, undefined)
})

t.test('an error or an invalid answer never removes addresses', async t => {
  const answers: readonly [name: string, answer: { status: number; body: string }][] = [
    ['an error', { status: 500, body: '{}' }],
    ['a refusal', { status: 401, body: '{}' }],
    ['no JSON', { status: 200, body: '<html>' }],
    ['nothing', { status: 200, body: '' }],
    ['no list', { status: 200, body: '{"ip_addresses":null}' }],
    ['an empty list', { status: 200, body: '{"ip_addresses":[]}' }],
    ['garbage', { status: 200, body: '{"ip_addresses":["1.2.3.4","nonsense"]}' }],
    ['numbers', { status: 200, body: '{"ip_addresses":[16909060]}' }],
    ['the whole internet', { status: 200, body: '{"ip_addresses":["0.0.0.0/0"]}' }],
    ['an endless list', { status: 200, body: JSON.stringify({ ip_addresses: Array(1000).fill('1.2.3.4') }) }]
  ]
  for (const [name, answer] of answers) {
    await t.test(name, async t => {
      const { cio, ask } = await customerIo(t)
      const one = replica(t, ask, 0)
      await one.refresh()
      cio.answer = answer
      await one.refresh()
      t.same(one.lists, [[NEW_ADDRESS]])
      t.same(one.asked, ['ok', 'failed'])
      const restarted = replica(t, undefined)
      await restarted.refresh()
      t.same(restarted.lists, [[NEW_ADDRESS]], 'the last valid answer is there for the next start')
      await redis.client.flushall()
    })
  }
})

t.test('an invalid cached list is ignored', async t => {
  for (const text of ['nonsense', '{}', '{"at":1,"addresses":["0.0.0.0/0"]}', '[]', 'null']) {
    await redis.client.set('cio:addresses', text)
    const one = replica(t, undefined)
    await one.refresh()
    t.same(one.lists, [], text)
  }
  const { ask } = await customerIo(t)
  const asking = replica(t, ask)
  await asking.refresh()
  t.same(asking.lists, [[NEW_ADDRESS]], 'the next answer of Customer.io replaces it')
})

t.test('a newly published address may deliver without a change of the settings', async t => {
  const { cio } = await customerIo(t)
  const env = { REDIS_URL: redis.url, CIO_APP_URL: cio.appUrl, TRUSTED_PROXIES: '127.0.0.1' }
  const service = await startTestService({ ...env, CIO_APP_API_KEY: APP_KEY })
  t.teardown(() => service.close())
  const from = async (address: string, to = service): Promise<number> => {
    const body = JSON.stringify({ event_id: Math.random().toString() })
    return (await to.post(body, { ...signV0(body), 'x-forwarded-for': address })).status
  }
  await until('it is let in', async () => (await from(NEW_ADDRESS)) === 200)
  t.equal(await from('203.0.113.8'), 403)
  const metrics = await (await fetch(`${service.url}/metrics`)).text()
  t.match(metrics, /cio_published_addresses_added 1/)

  const restarted = await startTestService(env)
  t.teardown(() => restarted.close())
  t.equal(await from(NEW_ADDRESS, restarted), 200, 'and at the first delivery after a restart')
})
