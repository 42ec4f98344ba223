/*
 * Both rotations under load: two replicas in production mode, one Redis, 500 deliveries per second, each signed with a
 * key that is valid at the time. No delivery may be refused, and no replica may be restarted.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { runToEnd } from '../helpers/command.ts'
import { startCustomerIo } from '../helpers/customer-io.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, startServer, temporaryFolder, until } from '../helpers/server.ts'
import { signV0, WEBHOOK_PATH } from '../helpers/sign.ts'

const RATE_PER_SECOND = Number(process.env['RATE'] ?? 500)
const TICK_MS = 10
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const KEYS = { old: 'signing-key-old', new: 'signing-key-new', third: 'signing-key-third' }
const TRACK = { old: 'track-key-old', new: 'track-key-new' }

t.setTimeout(600_000)

t.test('rotating both keys under load refuses no authentic delivery and restarts no replica', async t => {
  const folder = temporaryFolder()
  const secrets = join(folder, 'secrets')
  mkdirSync(secrets)
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const put = (name: string, value: string): void => writeFileSync(join(secrets, name), `${value}\n`)
  put('cio-webhook-secret', KEYS.old)
  put('cio-api-key', TRACK.old)
  put('cio-site-id', 'site')

  const cio = await startCustomerIo(t)
  cio.trackKeys.set(`site:${TRACK.old}`, 4711)
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const env = {
    REDIS_URL: redis.url,
    CIO_WEBHOOK_SECRET_FILE: join(secrets, 'cio-webhook-secret'),
    CIO_API_KEY_FILE: join(secrets, 'cio-api-key'),
    CIO_SITE_ID_FILE: join(secrets, 'cio-site-id'),
    CIO_TRACK_URL: cio.trackUrl,
    DATA_DIR: join(folder, 'data')
  }
  const replicas = await Promise.all([startReplica(t, env), startReplica(t, env)])
  const sender = startSender(replicas.map(replica => replica.port))

  t.teardown(() => sender.stop())
  const started = await Promise.all(replicas.map(startTime))
  const say = (text: string): void => t.comment(`${new Date().toISOString()} ${text}`)

  async function rotate(...args: string[]): Promise<string> {
    const run = await runToEnd(['rotate', ...args], env)
    say(`$ cio-webhook rotate ${args.join(' ')} (exit ${run.code})\n${run.stdout}${run.stderr}`)
    t.equal(run.code, 0, `rotate ${args.join(' ')}`)
    return run.stdout
  }

  sender.signWith(KEYS.old)
  await sleep(2000)

  put('cio-webhook-secret-v2', KEYS.new)
  t.match(await rotate('webhook-key', '--quiet', '3s'), /2 of 2 take both keys/)
  sender.signWith(KEYS.old, KEYS.new)
  put('cio-api-key-v2', TRACK.new)
  cio.trackKeys.set(`site:${TRACK.new}`, 4711)
  await rotate('--probe', 'identify', '--drain', '1s')
  sender.signWith(KEYS.new)
  await runToEnd(['rotate', 'finish', 'webhook-key', '--quiet', '1h'], env).then(run =>
    t.equal(run.code, 1, 'it is too early to finish')
  )
  cio.trackKeys.delete(`site:${TRACK.old}`)
  await rotate('finish')
  const due = async (): Promise<boolean> => (await runToEnd(['rotate', 'status'], env)).code === 1
  await until('the old key can be retired', due, 60_000)
  say((await runToEnd(['rotate', 'status'], env)).stdout)
  await rotate('finish', 'webhook-key')
  const refused = await Promise.all(replicas.map(({ port }) => sender.post(port, KEYS.old)))
  t.same(refused, [401, 401], 'the old key is refused by every replica')

  // Without the command, by writing the file.
  put('cio-webhook-secret', KEYS.third)
  sender.signWith(KEYS.new)
  await sleep(3000)
  sender.signWith(KEYS.new, KEYS.third)
  await sleep(2000)

  const statuses = await sender.stop()
  say(
    `deliveries by status: ${JSON.stringify(Object.fromEntries(statuses))}; rate ${sender.rate()} per second`
  )
  const total = [...statuses.values()].reduce((sum, count) => sum + count, 0)
  t.equal(statuses.get(200), total, 'no authentic delivery was refused')
  t.equal(await redis.client.xlen('cio:events:{0}'), total, 'each delivery is in the log once')
  t.same(await Promise.all(replicas.map(startTime)), started, 'no replica was restarted')
  t.ok(replicas.every(({ server }) => server.process.exitCode === null))
})

async function startReplica(t: Test, env: Readonly<Record<string, string>>) {
  const port = await freePort()
  const server = await startServer({
    command: process.execPath,
    args: [MAIN, 'serve'],
    env: {
      ...env,
      NODE_ENV: 'production',
      HOST: '127.0.0.1',
      PORT: String(port),
      LOG_LEVEL: 'warn',
      CIO_ALLOWED_IPS: '127.0.0.1',
      SHUTDOWN_DELAY_SECONDS: '0'
    },
    ready: () =>
      fetch(`http://127.0.0.1:${port}/readyz`).then(
        answer => answer.ok,
        () => false
      )
  })
  t.teardown(() => server.stop())
  return { port, server }
}

async function startTime({ port }: { port: number }): Promise<string | undefined> {
  const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return /^process_start_time_seconds (\S+)/m.exec(metrics)?.[1]
}

/** Posts to all ports in turn at a fixed rate, independent of the responses. */
function startSender(ports: readonly number[]) {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 })
  const statuses = new Map<number, number>()
  const inFlight = new Set<Promise<void>>()
  let keys: readonly string[] = [KEYS.old]
  let sent = 0
  const startedMs = performance.now()
  let endedMs = 0
  const timer = setInterval(() => {
    // Catches up after a delay, so that the average rate is kept.
    const due = Math.floor(((performance.now() - startedMs) / 1000) * RATE_PER_SECOND)
    while (sent < due) {
      const port = ports[sent % ports.length] ?? 0
      const key = keys[Math.floor(sent / ports.length) % keys.length] ?? ''
      sent++
      const one = post(port, key).then(status => {
        statuses.set(status, (statuses.get(status) ?? 0) + 1)
        inFlight.delete(one)
      })
      inFlight.add(one)
    }
  }, TICK_MS)

  return {
    signWith: (...next: string[]): void => {
      keys = next
    },
    post,
    rate: () => Math.round(sent / ((endedMs - startedMs) / 1000)),
    stop: async () => {
      clearInterval(timer)
      endedMs = performance.now()
      await Promise.all(inFlight)
      agent.destroy()
      return statuses
    }
  }

  /** @returns the status; 0 without a response */
  function post(port: number, key: string): Promise<number> {
    const body = JSON.stringify({
      event_id: `${Math.random()}`,
      object_type: 'email',
      metric: 'opened',
      timestamp: Math.floor(Date.now() / 1000),
      data: { customer_id: '4711' }
    })
    return new Promise(resolve => {
      const call = request(
        {
          agent,
          host: '127.0.0.1',
          port,
          method: 'POST',
          path: WEBHOOK_PATH,
          headers: { 'content-type': 'application/json', ...signV0(body, key) }
        },
        response => {
          response.resume()
          response.once('end', () => resolve(response.statusCode ?? 0))
        }
      )
      call.once('error', () => resolve(0))
      call.end(body)
    })
  }
}
