import t from 'tap'
import { until } from '../helpers/server.ts'
import { answered, ask, askSlowly, delivery } from './client.ts'
import { runContainer } from './container.ts'
import { BUILD_TIMEOUT_MS, docker } from './docker.ts'
import { prepare, startSilentServer } from './setting.ts'

t.setTimeout(BUILD_TIMEOUT_MS + 300_000)

/** What Docker gives a container to end in, unless told otherwise. */
const GRACE_MS = 10_000

const { image, start, length } = await prepare(t, 'ending')

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
      image,
      ...[
        '--import',
        '/app/dist/cli/serve/pid1-signals.js',
        '--eval',
        'console.log("loading"); setInterval(() => {}, 1e6)'
      ]
    ])
    t.teardown(() => loading.remove())
    await until('it loads', async () => (await docker('logs', loading.name)) === 'loading')
    await loading.signal('SIGTERM')
    t.equal(await loading.ended(5000), 143)

    const silent = await startSilentServer(t)
    const waiting = await start(t, {
      REDIS_URL: `redis://127.0.0.1:${silent.port}`,
      SHUTDOWN_DELAY_SECONDS: '0'
    })
    await until('it asks Redis', async () => silent.connections() > 0)
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
