import t from 'tap'
import { PASSWORD, startTestConsole, VIEWER_PASSWORD } from '../helpers/console.ts'
import { connectedRedis, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())
// A key of sessions takes 0.3 s of CPU per password.
const operators = { CONSOLE_PASSWORD: PASSWORD }

t.test(
  'a session is valid on another replica, and depends on nothing but the password of its role: no viewer can guess the one of operators with it',
  async t => {
    const [viewer, other] = [{ CONSOLE_VIEWER_PASSWORD: VIEWER_PASSWORD }, 'another password']
    const consoles = await Promise.all([
      startTestConsole(redis.url),
      startTestConsole(redis.url, { ...viewer, CONSOLE_PASSWORD: other }),
      startTestConsole(redis.url, { CONSOLE_PASSWORD: PASSWORD, CONSOLE_VIEWER_PASSWORD: other })
    ])
    t.teardown(() => Promise.all(consoles.map(({ service }) => service.close())))
    const cookieFor = async (password: string): Promise<string> => {
      const [first] = consoles
      return (await first.client().logIn(password)).headers['set-cookie']?.split(';', 1)[0] ?? ''
    }
    const statusesOf = (cookie: string) =>
      Promise.all(consoles.map(async ({ client }) => (await client().get('/', { cookie })).status))
    const [viewers, operators] = [await cookieFor(VIEWER_PASSWORD), await cookieFor(PASSWORD)]
    t.same(await statusesOf(viewers), [200, 200, 303])
    t.same(await statusesOf(operators), [200, 303, 200])
    const renamed = viewers.replace('cio_viewer_session', 'cio_operator_session')
    t.same(await statusesOf(renamed), [303, 303, 303], 'a session of a viewer as one of an operator')
    const forged = `${viewers.slice(0, 30)}${viewers[30] === 'A' ? 'B' : 'A'}${viewers.slice(31)}`
    t.same(await statusesOf(forged), [303, 303, 303])
  }
)

t.test('after a log-out, a copy of the cookie is refused by every replica', async t => {
  const [first, second] = [
    await startTestConsole(redis.url, operators),
    await startTestConsole(redis.url, operators)
  ]
  t.teardown(() => Promise.all([first, second].map(({ service }) => service.close())))
  const person = first.client()
  const answer = await person.logIn(PASSWORD)
  const cookie = answer.headers['set-cookie']?.split(';', 1)[0] ?? ''
  const other = first.client()
  await other.logIn(PASSWORD)
  t.equal((await second.client().get('/audit', { cookie })).status, 200)
  await person.get('/audit')
  await redis.client.config('SET', 'maxmemory', '1')
  t.equal((await person.post('/log-out')).status, 303, 'also while the memory of Redis is full')
  await redis.client.config('SET', 'maxmemory', '0')
  for (const { client } of [first, second]) {
    t.equal((await client().get('/audit', { cookie })).status, 303)
    t.equal((await client().get('/log-in', { cookie })).status, 200)
  }
  t.equal((await other.get('/audit')).status, 200, 'another session of the same role goes on')
  const [key = ''] = await redis.client.keys('cio:console:ended:*')
  const ttl = await redis.client.ttl(key)
  t.ok(ttl > 43_000 && ttl <= 43_200, String(ttl))
})

t.test(
  'log-ins are limited per address and in total, but no number of other addresses locks out one that has logged in before',
  async t => {
    const env = {
      CONSOLE_PASSWORD: PASSWORD,
      CONSOLE_VIEWER_PASSWORD: VIEWER_PASSWORD,
      TRUSTED_PROXIES: '127.0.0.1'
    }
    const { service, client } = await startTestConsole(redis.url, env)
    t.teardown(service.close)
    const from = (address: string) => ({ 'x-forwarded-for': address })
    const person = client()
    await person.get('/log-in')
    const tryFrom = async (address: string, password = 'guess'): Promise<number> =>
      (await person.post('/log-in', { password }, from(address))).status
    const statuses: number[] = []
    for (let tries = 0; tries < 40; tries++) statuses.push(await tryFrom('198.51.100.7'))
    t.same(statuses, [...Array(10).fill(401), ...Array(30).fill(429)])
    t.equal(await tryFrom('192.0.2.1', PASSWORD), 303, 'another address can log in')
    t.equal(await tryFrom('192.0.2.3', VIEWER_PASSWORD), 303)
    const network: number[] = []
    for (let tries = 0; tries < 12; tries++) network.push(await tryFrom(`2001:db8::${tries}`))
    t.same(network, [...Array(10).fill(401), 429, 429], 'an IPv6 network of one person is one address')

    const strangers: number[] = []
    for (let tries = 0; tries < 15; tries++) strangers.push(await tryFrom(`198.51.100.${100 + tries}`))
    t.same(strangers, [...Array(8).fill(401), ...Array(7).fill(429)], '30 tries of all addresses')
    t.equal(await tryFrom('192.0.2.2', PASSWORD), 429, 'an address that nobody has logged in from')
    t.equal(await tryFrom('192.0.2.1', PASSWORD), 303, 'one that somebody has')
    t.equal(await tryFrom('192.0.2.3', VIEWER_PASSWORD), 303)
    t.equal(
      await tryFrom('192.0.2.3', PASSWORD),
      429,
      'a viewer does not get more tries at the other password'
    )
  }
)

t.test(
  'while Redis is down, people can log in, the overview says so, and a page that needs Redis gets 503',
  async t => {
    const own = await startRedis()
    const { service, client } = await startTestConsole(own.url, operators)
    t.teardown(service.close)
    await own.stop('SIGKILL')
    await until('the outage is noticed', async () => !(await fetch(`${service.url}/readyz`)).ok)
    const person = client()
    const loggedIn = await person.logIn(PASSWORD)
    t.equal(loggedIn.status, 303)
    // Until the first attempt to reconnect, the cause is that the connection was closed.
    await until('the cause', async () =>
      /Deliveries get 503\. Redis at [^ ]+: ECONNREFUSED/.test((await person.get('/')).text)
    )
    t.equal((await person.get('/audit')).status, 503)
    t.ok(service.logLines().some(({ audit }) => audit !== undefined))
    t.equal(
      (await person.post('/parked/0-1-1/reveal')).status,
      503,
      'it is not known whether it was logged out'
    )
    const out = await person.post('/log-out')
    t.match(out.text, /Logged out in this browser/)
    t.match(out.headers['set-cookie'], /^cio_operator_session=; Max-Age=0/)
    const cookie = loggedIn.headers['set-cookie']?.split(';', 1)[0] ?? ''
    t.equal((await client().get('/', { cookie })).status, 303, 'this replica knows it')
  }
)
