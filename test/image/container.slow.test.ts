import t from 'tap'
import { freePort, until } from '../helpers/server.ts'
import type { Headers } from '../helpers/sign.ts'
import { answered, ask, delivery } from './client.ts'
import { BUILD_TIMEOUT_MS, docker, inspect } from './docker.ts'
import { startNginx } from './nginx.ts'
import { prepare, startSilentServer } from './setting.ts'

t.setTimeout(BUILD_TIMEOUT_MS + 300_000)

const ALLOWED = '127.0.0.2'
const OTHER = '127.0.0.3'
/** Stands before nginx, and is trusted as well. */
const BALANCER = '127.0.0.4'
const PUBLISHED = '35.188.196.183'

const { redis, start, length } = await prepare(t, 'container')

t.test('it needs no root, no capability and no file that it can write', async t => {
  const container = await start(t)
  await container.ready()
  const facts = JSON.parse(
    await container.evaluate(`
      import { readFileSync, writeFileSync } from 'node:fs'
      const status = readFileSync('/proc/1/status', 'utf8')
      const field = name => status.match(new RegExp('^' + name + ':\\\\s+(.*)$', 'm'))[1]
      let writing = 'works'
      try { writeFileSync('/tmp/file', '') } catch (error) { writing = error.code }
      console.log(JSON.stringify({
        writing,
        users: field('Uid'),
        capabilities: ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map(field),
        noNewPrivileges: field('NoNewPrivs'),
        first: readFileSync('/proc/1/cmdline', 'utf8').split('\\0')[0]
      }))`)
  )
  t.same(facts, {
    writing: 'EROFS',
    users: '1000\t1000\t1000\t1000',
    capabilities: Array(5).fill('0000000000000000'),
    noNewPrivileges: '1',
    first: 'node'
  })
  const sent = delivery()
  t.same(await ask({ port: container.port, ...sent }), answered(200, 'accepted', sent))
})

t.test('its own health check turns healthy, and says no within its timeout when nobody answers', async t => {
  const container = await start(t)
  await until(
    'healthy',
    async () => (await inspect(container.name)).State.Health?.Status === 'healthy',
    30_000
  )

  const hanging = await startSilentServer(t)
  const check = (port: number): Promise<string> =>
    docker('exec', '--env', `PORT=${port}`, container.name, 'node', '/app/dist/ops/healthcheck.js')
  const startedMs = performance.now()
  await t.rejects(check(hanging.port), { code: 1, stderr: 'no response within 2000 ms\n' })
  t.ok(performance.now() - startedMs < 5000, 'in less than the 5 s that Docker gives it')
  await t.rejects(check(await freePort()), { code: 1, stderr: /ECONNREFUSED/ })
})

t.test('behind nginx it knows who calls, whatever the caller claims', async t => {
  const container = await start(t, {
    TRUSTED_PROXIES: `127.0.0.1,${BALANCER}`,
    CIO_ALLOWED_IPS: `${ALLOWED},${PUBLISHED}`
  })
  await container.ready()
  const nginx = await startNginx(container.port)
  t.teardown(() => nginx.stop())
  const { port } = nginx
  const before = await length()

  const kept = delivery()
  t.same(
    await ask({ port, from: ALLOWED, ...kept }),
    answered(200, 'accepted', kept),
    'signed, from an allowed address'
  )
  const [[, fields] = []] = await redis.client.xrevrange('cio:events:{0}', '+', '-', 'COUNT', 1)
  t.equal(JSON.parse(fields?.[3] ?? '{}').id, kept.id, 'it is in Redis')

  const forged = delivery()
  const claim = { ...forged.headers, 'x-forwarded-for': ALLOWED }
  const refused = await ask({ port, from: OTHER, body: forged.body, headers: claim })
  t.equal(refused.status, 403, 'an allowed address that the caller only claims')
  t.match(refused.body, 'CIO_SOURCE_FORBIDDEN')
  t.equal(
    (await ask({ port, from: ALLOWED, body: forged.body })).status,
    401,
    'unsigned, from an allowed address'
  )
  t.equal(await length(), before + 1, 'neither is in Redis')

  const outside = { 'x-forwarded-for': PUBLISHED }
  const through = (headers: Headers) => ask({ port, from: BALANCER, path: '/metrics', headers })
  t.equal((await through(outside)).status, 403, '/metrics through a load balancer and nginx, from outside')
  t.equal(
    (await through({ 'x-forwarded-for': `127.0.0.1, ${PUBLISHED}` })).status,
    403,
    'whatever is claimed'
  )
  t.equal((await ask({ port: container.port, path: '/metrics' })).status, 200, '/metrics, from this machine')
})

t.test('no proxy is believed, and none reads /metrics, unless it is named', async t => {
  const container = await start(t, { CIO_ALLOWED_IPS: ALLOWED })
  await container.ready()
  const nginx = await startNginx(container.port)
  t.teardown(() => nginx.stop())
  t.equal((await ask({ port: nginx.port, from: ALLOWED, ...delivery() })).status, 403)
  t.equal((await ask({ port: nginx.port, path: '/metrics' })).status, 403)
})
