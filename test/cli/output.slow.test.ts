import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startRedis } from '../helpers/redis.ts'
import { freePort, until } from '../helpers/server.ts'
import { postTo } from '../helpers/service.ts'
import { KEY } from '../helpers/sign.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** `serve`, whose log goes where the test says, once it answers. */
async function serve(t: Test, stdout: 'pipe' | number) {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const service: ChildProcess = spawn(process.execPath, [MAIN, 'serve'], {
    env: {
      HOST: '127.0.0.1',
      PORT: String(port),
      REDIS_URL: redis.url,
      CIO_WEBHOOK_SECRET: KEY,
      CIO_ALLOWED_IPS: '127.0.0.1',
      NODE_ENV: 'production',
      SHUTDOWN_DELAY_SECONDS: '0'
    },
    stdio: ['ignore', stdout, 'ignore']
  })
  t.teardown(() => service.kill('SIGKILL'))
  const ended = new Promise<number | null>(resolve => service.once('exit', resolve))
  const ready = (): Promise<boolean> =>
    fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false
    )
  await until('the service', ready, 30_000)
  const deliver = async (id: string): Promise<number> =>
    (await postTo(`${url}/api/cio/webhook`, JSON.stringify({ event_id: id }))).status
  return { service, ended, deliver }
}

/** Longer than the second after which lines are written at the latest. */
const deliverForAWhile = async (deliver: (id: string) => Promise<number>): Promise<Set<number>> => {
  const statuses = new Set<number>()
  const endMs = performance.now() + 2500
  for (let id = 0; performance.now() < endMs; id++) statuses.add(await deliver(`id-${id}`))
  return statuses
}

t.test('the log’s reader is gone: deliveries are answered, and SIGTERM ends with 0', async t => {
  const { service, ended, deliver } = await serve(t, 'pipe')
  service.stdout?.destroy()
  t.same(await deliverForAWhile(deliver), new Set([200]))
  service.kill('SIGTERM')
  t.equal(await ended, 0)
})

t.test('the reader goes just before the end, with lines unwritten: SIGTERM ends with 0', async t => {
  const { service, ended, deliver } = await serve(t, 'pipe')
  service.stdout?.destroy()
  await deliver('last')
  service.kill('SIGTERM')
  t.equal(await ended, 0)
})

t.test('the log’s disk is full: deliveries are answered, and SIGTERM ends with 0', async t => {
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const { service, ended, deliver } = await serve(t, full)
  t.same(await deliverForAWhile(deliver), new Set([200]))
  service.kill('SIGTERM')
  t.equal(await ended, 0)
})
