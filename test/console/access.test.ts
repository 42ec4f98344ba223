import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { isCrossSite, isKnownHost } from '../../src/console/access.ts'
import { buildConsole } from '../../src/console/server.ts'
import { createLogger } from '../../src/ops/logger.ts'
import { PASSWORD, startTestConsole, VIEWER_PASSWORD } from '../helpers/console.ts'
import { connectedRedis, startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { testConfig } from '../helpers/service.ts'

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())
// A key of sessions takes 0.3 s of CPU per password.
const operators = { CONSOLE_PASSWORD: PASSWORD }

const auditRecords = async () =>
  (await redis.client.xrange('cio:console:audit', '-', '+')).map(([, fields]) =>
    fields.filter((_, at) => at % 2 === 1)
  )

/** The console without a server. */
async function build(t: Test, env: Readonly<Record<string, string>>): Promise<FastifyInstance> {
  const config = await testConfig({ REDIS_URL: redis.url, CONSOLE_PORT: '0', ...env })
  if (config.console === undefined) throw new Error('the console is off')
  const { log } = createLogger('silent')
  const settings = config.console
  const app = await buildConsole({
    settings,
    config,
    redis: redis.connection,
    redisAddress: redis.address,
    redisReport: { problem: () => undefined },
    isRedisUp: () => true,
    log,
    now: Date.now
  })
  t.teardown(() => app.close())
  return app
}

t.test(
  'every route declares who may use it: one that does not stops the start, one for operators is closed to viewers',
  async t => {
    const app = await build(t, {
      CONSOLE_IDENTITY_HEADER: 'x-user',
      CONSOLE_OPERATORS: 'ada',
      TRUSTED_PROXIES: '127.0.0.1'
    })
    t.throws(() => app.get('/forgotten', async () => 'open'), /does not declare its access/)
    app.get('/change', { config: { access: 'operator' } }, async () => 'changed')
    const change = async (user: string) =>
      (await app.inject({ url: '/change', headers: { 'x-user': user, host: 'localhost' } })).statusCode
    t.same([await change('ada'), await change('bob')], [200, 403])
  }
)

t.test(
  'without a log-in, every page leads to the log-in page, and no live page or change is possible',
  async t => {
    const { service, client } = await startTestConsole(redis.url, operators)
    t.teardown(service.close)
    const stranger = client()
    for (const path of ['/', '/audit', '/live/overview', '/audit?before=1-1']) {
      const { status, headers } = await stranger.get(path)
      t.same([status, headers['location']], [303, '/log-in'], path)
    }
    await stranger.get('/log-in')
    t.equal((await stranger.post('/log-out')).status, 401)
    t.equal((await stranger.get('/nothing')).status, 404)
  }
)

t.test('a right password opens the pages, log-out closes them, and both are audit records', async t => {
  const { service, client } = await startTestConsole(redis.url, operators)
  t.teardown(service.close)
  const person = client()
  const answer = await person.logIn(PASSWORD)
  t.same([answer.status, answer.headers['location']], [303, '/'])
  t.match(
    answer.headers['set-cookie'],
    /^cio_operator_session=\S+; Max-Age=43200; Path=\/; HttpOnly; SameSite=Strict$/
  )
  const page = await person.get('/audit')
  t.equal(page.status, 200)
  t.match(page.text, /<code>log_in<\/code>/)
  t.equal((await person.post('/log-out')).status, 303)
  t.equal((await person.get('/')).status, 303)

  t.equal((await client().logIn('a wrong password')).status, 401)
  t.same(await auditRecords(), [
    ['operator', 'operator', 'log_in', 'console', '127.0.0.1'],
    ['operator', 'operator', 'log_out', 'console', '127.0.0.1'],
    ['-', '', 'log_in_refused', 'console', '127.0.0.1']
  ])
  const logged = service.logLines().filter(({ audit }) => audit !== undefined)
  t.equal(logged.length, 3)
  t.notMatch(service.logText(), /wrong password|correct horse/)
})

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

t.test(
  'with sessions that they make themselves, viewers can neither fill Redis nor choose its keys',
  async t => {
    const app = await build(t, { CONSOLE_VIEWER_PASSWORD: VIEWER_PASSWORD })
    const logOut = async (id: string): Promise<number> => {
      const session = app.encodeSecureSession(app.createSecureSession({ id }), 'viewerSession')
      const csrf = 'A'.repeat(32)
      const answer = await app.inject({
        method: 'POST',
        url: '/log-out',
        cookies: { cio_csrf: csrf, cio_viewer_session: session },
        headers: { host: 'localhost', 'content-type': 'application/x-www-form-urlencoded' },
        payload: `csrf=${csrf}`
      })
      return answer.statusCode
    }
    t.equal(await logOut('x'.repeat(2000)), 401)
    const statuses: number[] = []
    for (let session = 0; session < 15; session++) statuses.push(await logOut(randomUUID()))
    t.same(statuses, [...Array(10).fill(303), ...Array(5).fill(429)])
    t.equal((await redis.client.keys('cio:console:ended:*')).length, 10)
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

t.test('a form without its token, with another one, or from another site has no effect', async t => {
  const { service, client } = await startTestConsole(redis.url, operators)
  t.teardown(service.close)
  const person = client()
  await person.get('/log-in')
  const password = { password: PASSWORD }
  for (const csrf of ['', 'x', 'A'.repeat(32)]) {
    t.equal(
      (await person.post('/log-in', { ...password, csrf })).status,
      403,
      `token ${JSON.stringify(csrf)}`
    )
  }
  const foreign = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { origin: 'https://evil.example' },
    { origin: 'null' }
  ]
  for (const headers of foreign) {
    t.equal((await person.post('/log-in', password, headers)).status, 403, JSON.stringify(headers))
  }
  t.same(await auditRecords(), [])
  t.equal((await person.post('/log-in', password, { 'sec-fetch-site': 'same-origin' })).status, 303)
})

t.test('a request for an unknown host name is refused', async t => {
  const { service, client } = await startTestConsole(redis.url, {
    CONSOLE_PASSWORD: PASSWORD,
    CONSOLE_URL: 'https://console.example.com'
  })
  t.teardown(service.close)
  t.equal((await client().get('/log-in', { host: 'evil.example' })).status, 421)
  const { status, headers } = await client().get('/log-in', { host: 'console.example.com' })
  t.equal(status, 200)
  t.match(headers['set-cookie'], /^__Host-cio_csrf=.*; Secure;/, 'cookies of an https address are secure')

  for (const host of ['localhost:3100', '127.0.0.1', '[::1]:3100', '192.0.2.1:80'])
    t.ok(isKnownHost(host, undefined), host)
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '', undefined]) {
    t.notOk(isKnownHost(host, undefined), String(host))
  }
  t.ok(
    isCrossSite({ headers: { origin: 'http://localhost:1' }, host: 'localhost:2' }, undefined),
    'another port'
  )
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

t.test('a proxy names the person, and only a trusted proxy may', async t => {
  const settings = { CONSOLE_IDENTITY_HEADER: 'X-Forwarded-Email', CONSOLE_OPERATORS: 'Ada@example.com' }
  const trusted = await startTestConsole(redis.url, { ...settings, TRUSTED_PROXIES: '127.0.0.1' })
  const untrusted = await startTestConsole(redis.url, { ...settings, TRUSTED_PROXIES: '192.0.2.1' })
  t.teardown(() => Promise.all([trusted.service.close(), untrusted.service.close()]))
  const get = (email: string, { client } = trusted) => client().get('/', { 'x-forwarded-email': email })

  t.match((await get('ada@example.com')).text, /ada@example.com<\/span><span class="pill neutral">operator/)
  t.match((await get('bob@example.com')).text, /bob@example.com<\/span><span class="pill neutral">viewer/)
  t.equal((await get('ada@example.com', untrusted)).status, 403)
  t.equal((await trusted.client().get('/')).status, 403, 'no identity')
  t.equal((await get('bob@example.com, ada@example.com')).status, 403, 'two identities')
  t.equal((await trusted.client().get('/log-in')).status, 403, 'there is no log-in page')
})

t.test('every answer has the security headers, and only assets may be kept by browsers', async t => {
  const { service, client } = await startTestConsole(redis.url, operators)
  t.teardown(service.close)
  const page = await client().get('/log-in')
  const assets = [...page.text.matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)].map(([, path = '']) => path)
  t.ok(assets.length > 3)
  for (const path of [...new Set(assets), '/log-in', '/nothing', '/']) {
    const { status, headers } = await client().get(path)
    t.match(
      headers['content-security-policy'],
      /^default-src 'none'; script-src 'self'; style-src 'self';/,
      path
    )
    t.notMatch(headers['content-security-policy'], /unsafe/)
    t.equal(headers['x-content-type-options'], 'nosniff')
    const isAsset = path.startsWith('/assets/')
    t.match(headers['cache-control'], isAsset ? /immutable/ : /^no-store$/, path)
    if (isAsset) t.same([status, headers['set-cookie']], [200, undefined], path)
  }
})

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
    t.match((await person.get('/')).text, /Deliveries get 503\. Redis at [^ ]+: ECONNREFUSED/)
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
