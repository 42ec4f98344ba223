import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { isCrossSite, isKnownHost } from '../../src/console/access.ts'
import { buildConsole } from '../../src/console/server.ts'
import { createLogger } from '../../src/ops/logger.ts'
import { PASSWORD, startTestConsole, VIEWER_PASSWORD } from '../helpers/console.ts'
import { connectedRedis } from '../helpers/redis.ts'
import { testConfig } from '../helpers/service.ts'

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())
// A key of sessions takes 0.3 s of CPU per password.
const operators = { CONSOLE_PASSWORD: PASSWORD }
const { service, client } = await startTestConsole(redis.url, operators)
t.teardown(service.close)

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

t.test('a form without its token, with another one, or from another site has no effect', async t => {
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
