import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { createClock } from '../faults/clock.ts'
import { createReplica, type Replica } from '../faults/replica.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { type Behaviour, startReceiver, type TestReceiver } from '../helpers/receiver.ts'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder } from '../helpers/server.ts'
import { postTo } from '../helpers/service.ts'
import { type Headers, KEY, newBody, signV0, WEBHOOK_PATH } from '../helpers/sign.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

type Env = Readonly<Record<string, string>>

/** An installation in which a fault is caused: Redis, the service as a process, and what else the fault needs. */
export interface World {
  /** Starts a Redis; a second call starts it again on the same port, with the same data. */
  startRedis(settings?: Env, options?: { readonly folder?: string }): Promise<TestRedis>
  redis(): TestRedis
  /** Starts an HTTP consumer, and writes a CONSUMERS_FILE in which it is `crm`. */
  startReceiver(changes?: Readonly<Record<string, unknown>>, behaviour?: Behaviour): Promise<TestReceiver>
  /** Starts the service; a second call starts it again with these changes. `undefined` removes a variable. */
  start(changes?: Readonly<Record<string, string | undefined>>): Promise<void>
  /** The key of the service, in a file that it follows. */
  setServiceKey(key: string): void
  /** The key with which Customer.io signs. */
  setSenderKey(key: string): void
  /** Sets the clock of all, before anything is started. `passTime` sets it to the true time. */
  goBack(seconds: number): void
  passTime(): void
  /** Unix milliseconds by the clock of all. */
  now(): number
  /** Sends a delivery as Customer.io does. Rejects if it cannot be sent. */
  post(body?: string, headers?: Headers): Promise<number>
  /** Environment of the service, with `cio-webhook` on the PATH. */
  env(): Env
  url(): string
  /** Log lines of the present process. */
  log(): string
  /** Runs when the test ends, in reverse order, after the service and Redis. */
  atEnd(act: () => unknown): void
  readonly folder: string
}

export function createWorld(t: Test): World {
  const folder = temporaryFolder()
  const ends: (() => unknown)[] = [() => rmSync(folder, { recursive: true, force: true })]
  t.teardown(async () => {
    await replica?.kill()
    await redis?.stop('SIGKILL')
    for (const end of ends.reverse()) await end()
  })
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'cio-webhook'), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`)
  chmodSync(join(bin, 'cio-webhook'), 0o755)

  const keyFile = join(folder, 'key')
  writeFileSync(keyFile, KEY)
  let senderKey = KEY
  let clock: ReturnType<typeof createClock> | undefined
  let behindMs = 0
  const now = (): number => Date.now() - behindMs

  let redis: TestRedis | undefined
  let redisPort: number | undefined
  let replica: Replica | undefined
  let env: Env = {
    PATH: `${bin}:${process.env['PATH']}`,
    CIO_WEBHOOK_SECRET_FILE: keyFile,
    // Listed as Customer.io's own addresses are.
    CIO_ALLOWED_IPS: '127.0.0.1',
    LOG_LEVEL: 'info',
    DATA_DIR: join(folder, 'data')
  }
  const running = (): Replica => {
    if (replica === undefined) throw new Error('the service is not started')
    return replica
  }
  const url = (): string => `http://127.0.0.1:${running().port}`

  return {
    folder,
    startRedis: async (settings = {}, options = {}) => {
      redisPort ??= await freePort()
      redis = await startRedis(settings, { folder, port: redisPort, env: { ...clock?.env }, ...options })
      env = { REDIS_URL: redis.url, ...env }
      return redis
    },
    redis: () => {
      if (redis === undefined) throw new Error('Redis is not started')
      return redis
    },
    startReceiver: async (changes = {}, behaviour) => {
      const receiver = await startReceiver(behaviour)
      ends.push(() => receiver.stop())
      const settings = {
        timeoutMs: 2000,
        retryDelayMs: 200,
        maxRetryDelayMs: 500,
        maxAttempts: 100,
        ...changes
      }
      env = { ...env, CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url, settings)) }
      return receiver
    },
    start: async (changes = {}) => {
      await replica?.terminate()
      const all = Object.entries({ ...env, ...clock?.env, ...changes })
      env = Object.fromEntries(all.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])))
      replica = await createReplica(env)
      await replica.start()
    },
    post: async (body = newBody(), headers = signV0(body, senderKey, Math.floor(now() / 1000))) =>
      (await postTo(url() + WEBHOOK_PATH, body, headers)).status,
    setServiceKey: key => writeFileSync(keyFile, key),
    setSenderKey: key => {
      senderKey = key
    },
    goBack: seconds => {
      clock = createClock()
      ends.push(clock.remove)
      clock.set(-seconds)
      behindMs = seconds * 1000
    },
    passTime: () => {
      clock?.set(0)
      behindMs = 0
    },
    now,
    env: () => env,
    url,
    log: () => running().output(),
    atEnd: act => void ends.push(act)
  }
}
