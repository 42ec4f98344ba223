import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { startRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'
import type { Headers } from '../helpers/sign.ts'
import { answered, ask, askSlowly, delivery } from './client.ts'
import { type Container, runContainer, startContainer } from './container.ts'
import { BUILD_TIMEOUT_MS, buildImage, docker, freshClone, inspect } from './docker.ts'
import { startNginx } from './nginx.ts'

t.setTimeout(BUILD_TIMEOUT_MS + 300_000)

const IMAGE = `cio-webhook-proof:container-${process.pid}`
/** What Docker gives a container to end in, unless told otherwise. */
const GRACE_MS = 10_000
const ALLOWED = '127.0.0.2'
const OTHER = '127.0.0.3'
/** Stands before nginx, and is trusted as well. */
const BALANCER = '127.0.0.4'
const PUBLISHED = '35.188.196.183'

const folder = temporaryFolder()
const redis = await startRedis({ appendonly: 'yes' })
t.teardown(async () => {
  await redis.stop()
  await docker('rmi', '--force', IMAGE).catch(() => {})
  rmSync(folder, { recursive: true })
})
t.before(async () => {
  await freshClone(folder)
  await buildImage(IMAGE, folder)
})

async function start(t: Test, env: Readonly<Record<string, string>> = {}): Promise<Container> {
  const container = await startContainer(IMAGE, {
    REDIS_URL: redis.url,
    CIO_ALLOWED_IPS: `127.0.0.1,${ALLOWED}`,
    ...env
  })
  t.teardown(() => container.remove())
  return container
}

const length = (): Promise<number> => redis.client.xlen('cio:events:{0}')

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

  const hanging = createServer(() => {}).listen(0, '127.0.0.1')
  t.teardown(() => hanging.close())
  await until('listening', async () => hanging.listening)
  const address = hanging.address()
  const hangingPort = typeof address === 'object' && address !== null ? address.port : 0
  const check = (port: number): Promise<string> =>
    docker('exec', '--env', `PORT=${port}`, container.name, 'node', '/app/dist/ops/healthcheck.js')
  const startedMs = performance.now()
  await t.rejects(check(hangingPort), { code: 1, stderr: 'no answer in time\n' })
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

for (const [delaySeconds, draining] of [
  ['5', 'while the load balancer turns away'],
  ['0', 'once nobody new is let in']
] as const) {
  t.test(`SIGTERM: a delivery whose body is still being sent is answered ${draining}`, async t => {
    const container = await start(t, { SHUTDOWN_DELAY_SECONDS: delaySeconds })
    await container.ready()
    const sent = delivery()
    const slow = await askSlowly({ port: container.port, ...sent })
    t.equal((await ask({ port: container.port, path: '/readyz' })).status, 200)

    const toldMs = performance.now()
    await container.signal('SIGTERM')
    await until('it turns away', async () => {
      const answer = await ask({ port: container.port, path: '/readyz' }).catch(() => undefined)
      return delaySeconds === '0' ? answer === undefined : answer?.status === 503
    })
    if (delaySeconds !== '0') {
      const late = delivery()
      t.same(await ask({ port: container.port, ...late }), answered(200, 'accepted', late), 'a late one too')
    }
    slow.sendRest()
    t.same(await slow.reply, answered(200, 'accepted', sent))
    t.equal(await container.ended(GRACE_MS), 0)
    const tookMs = performance.now() - toldMs
    t.comment(`ended ${(tookMs / 1000).toFixed(1)} s after SIGTERM`)
    t.ok(tookMs < GRACE_MS, 'within the grace period')
  })
}

t.test('SIGKILL: after the restart a delivery that was answered is known', async t => {
  const container = await start(t)
  await container.ready()
  const sent = delivery()
  t.same(await ask({ port: container.port, ...sent }), answered(200, 'accepted', sent))
  const before = await length()

  await container.signal('SIGKILL')
  t.equal(await container.ended(GRACE_MS), 137)
  await docker('start', container.name)
  await container.ready()
  t.same(await ask({ port: container.port, ...sent }), answered(200, 'duplicate', sent))
  t.equal(await length(), before)
})

t.test(
  'SIGTERM while it starts: heard before the service is loaded, and while it waits for Redis',
  async t => {
    const loading = await runContainer(0, [
      ...['--entrypoint', 'node', '--network', 'none'],
      IMAGE,
      ...[
        '--import',
        '/app/dist/cli/first-process.js',
        '--eval',
        'console.log("loading"); setInterval(() => {}, 1e6)'
      ]
    ])
    t.teardown(() => loading.remove())
    await until('it loads', async () => (await docker('logs', loading.name)) === 'loading')
    await loading.signal('SIGTERM')
    t.equal(await loading.ended(5000), 143)

    let connections = 0
    const silent = createServer(() => connections++).listen(0, '127.0.0.1')
    t.teardown(() => silent.close())
    await until('listening', async () => silent.listening)
    const address = silent.address()
    const silentPort = typeof address === 'object' && address !== null ? address.port : 0
    const waiting = await start(t, {
      REDIS_URL: `redis://127.0.0.1:${silentPort}`,
      SHUTDOWN_DELAY_SECONDS: '0'
    })
    await until('it asks Redis', async () => connections > 0)
    await waiting.signal('SIGTERM')
    t.equal(await waiting.ended(5000), 0)
  }
)

t.test(
  'several workers: a dead one is replaced, no zombie stays, and SIGTERM ends them all with 0',
  async t => {
    const container = await start(t, { WORKERS: '2', SHUTDOWN_DELAY_SECONDS: '0' })
    await container.ready()
    const processes = async (): Promise<readonly { pid: number; parent: number; state: string }[]> =>
      JSON.parse(
        await container.evaluate(`
        import { readdirSync, readFileSync } from 'node:fs'
        const all = readdirSync('/proc').filter(name => /^\\d+$/.test(name)).map(pid => {
          const [state, parent] = readFileSync('/proc/' + pid + '/stat', 'utf8').replace(/^.*\\) /, '').split(' ')
          return { pid: Number(pid), parent: Number(parent), state }
        })
        console.log(JSON.stringify(all.filter(({ pid }) => pid !== process.pid)))`)
      )
    const workers = async (): Promise<number[]> =>
      (await processes()).filter(({ parent, state }) => parent === 1 && state !== 'Z').map(({ pid }) => pid)
    const [victim, other] = await workers()
    await container.evaluate(`process.kill(${victim}, 'SIGKILL')`)
    await until('another worker', async () => {
      const now = await workers()
      return now.length === 2 && !now.includes(victim ?? 0) && now.includes(other ?? 0)
    })
    for (let check = 0; check < 5; check++) {
      await docker('exec', container.name, 'node', '/app/dist/ops/healthcheck.js')
    }
    t.same(
      (await processes()).filter(({ state }) => state === 'Z'),
      []
    )
    await container.signal('SIGTERM')
    t.equal(await container.ended(GRACE_MS), 0)
  }
)
