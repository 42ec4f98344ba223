import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startRedis } from '../helpers/redis.ts'
import { freePort, until } from '../helpers/server.ts'
import { postTo } from '../helpers/service.ts'
import { KEY, WEBHOOK_PATH } from '../helpers/sign.ts'

t.setTimeout(600_000)

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

type Output = 'pipe' | 'ignore' | number

/** Starts `serve` with these outputs, and waits until it answers. */
async function serve(t: Test, stdout: Output, stderr: Output = 'ignore') {
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
    stdio: ['ignore', stdout, stderr]
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
    (await postTo(`${url}${WEBHOOK_PATH}`, JSON.stringify({ event_id: id }))).status
  return { service, ended, deliver }
}

/** Longer than a second, after which buffered lines are written. */
const deliverForAWhile = async (deliver: (id: string) => Promise<number>): Promise<Set<number>> => {
  const statuses = new Set<number>()
  const endMs = performance.now() + 2500
  for (let id = 0; performance.now() < endMs; id++) statuses.add(await deliver(`id-${id}`))
  return statuses
}

t.test(
  'the reader of the log output has ended: deliveries are answered, and SIGTERM ends with 0',
  async t => {
    const { service, ended, deliver } = await serve(t, 'pipe')
    service.stdout?.destroy()
    t.same(await deliverForAWhile(deliver), new Set([200]))
    service.kill('SIGTERM')
    t.equal(await ended, 0)
  }
)

t.test('the reader ends just before the shutdown, with lines unwritten: SIGTERM ends with 0', async t => {
  const { service, ended, deliver } = await serve(t, 'pipe')
  service.stdout?.destroy()
  await deliver('last')
  service.kill('SIGTERM')
  t.equal(await ended, 0)
})

t.test('the disk of the log output is full: deliveries are answered, and SIGTERM ends with 0', async t => {
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const { service, ended, deliver } = await serve(t, full)
  t.same(await deliverForAWhile(deliver), new Set([200]))
  service.kill('SIGTERM')
  t.equal(await ended, 0)
})

/** Causes more log lines than a pipe holds (64 KiB). */
async function deliverMuch(deliver: (id: string) => Promise<number>): Promise<Set<number>> {
  const statuses = new Set<number>()
  for (let id = 0; id < 1500; id++) statuses.add(await deliver(`much-${id}`))
  return statuses
}

t.test(
  'the reader of the log output has stopped reading: deliveries are answered, and SIGTERM ends with 0',
  async t => {
    const { service, ended, deliver } = await serve(t, 'pipe')
    // `service.stdout` has no listener, so nothing is read from the pipe.
    t.same(await deliverMuch(deliver), new Set([200]))
    service.kill('SIGTERM')
    t.equal(await ended, 0)
  }
)

t.test('standard error is closed: deliveries are answered, and SIGTERM ends with 0', async t => {
  const { service, ended, deliver } = await serve(t, 'ignore', 'pipe')
  service.stderr?.destroy()
  t.same(await deliverForAWhile(deliver), new Set([200]))
  service.kill('SIGTERM')
  t.equal(await ended, 0)
})

/** Runs a command with one output broken. @returns its exit code, and the text on the other output */
async function runBroken(
  t: Test,
  args: readonly string[],
  broken: 'stdout' | 'stderr',
  how: 'full' | 'closed'
) {
  const full = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(full))
  const bad = how === 'full' ? full : 'pipe'
  const command = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env['PATH'] },
    stdio: ['ignore', broken === 'stdout' ? bad : 'pipe', broken === 'stderr' ? bad : 'pipe']
  })
  t.teardown(() => command.kill('SIGKILL'))
  if (how === 'closed') command[broken]?.destroy()
  let text = ''
  command[broken === 'stdout' ? 'stderr' : 'stdout']?.setEncoding('utf8').on('data', chunk => {
    text += chunk
  })
  const code = await new Promise<number | null>(resolve => command.once('close', resolve))
  return { code, text }
}

t.test('a command ends quietly if its reader has ended, and with one line if its output is full', async t => {
  for (const args of [['--help'], ['leaks', '--help'], ['leaks', '--format', 'json', 'src/settings']]) {
    const name = args.join(' ')
    t.same(await runBroken(t, args, 'stdout', 'closed'), { code: 2, text: '' }, `${name}: closed`)
    const { code, text } = await runBroken(t, args, 'stdout', 'full')
    t.equal(code, 2, `${name}: full`)
    t.match(text, /^cio-webhook [\w-]+: cannot write to standard output: ENOSPC\n$/)
  }
})

t.test('a command whose standard error is broken does its work', async t => {
  for (const how of ['closed', 'full'] as const) {
    const { code, text } = await runBroken(t, ['leaks', '--format', 'json', 'src/settings'], 'stderr', how)
    t.equal(code, 0, how)
    t.match(JSON.parse(text), { findings: [] })
    t.equal((await runBroken(t, ['no-such-command'], 'stderr', how)).code, 2, how)
  }
})
