import { spawnSync } from 'node:child_process'
import type { Redis } from 'ioredis'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'

/** A Redis that can be killed, stopped and started again with what it kept, always on the same port. */
export interface Store {
  readonly port: number
  readonly folder: string
  /** A client for this run of the server; it goes with it. */
  client(): Redis
  start(): Promise<void>
  kill(): Promise<void>
  /** Resolves when it is gone, which only its own doing can bring about. */
  gone(): Promise<void>
  pause(): void
  resume(): void
}

export type Fsync = 'always' | 'everysec'

/** How Redis writes, and what the service promises over it. */
export interface Keeping {
  readonly fsync: Fsync
  readonly durability: 'fsync' | 'server'
  /** Of the usual pace of deliveries, as a share of one. */
  readonly pace: number
}

export const always: Keeping = { fsync: 'always', durability: 'fsync', pace: 1 }
export const everysec: Keeping = { fsync: 'everysec', durability: 'server', pace: 1 }
/** `everysec` too, but each answer waits until Redis says that it is on disk, up to a second: from Redis 7.2. */
export const waitAof: Keeping = { fsync: 'everysec', durability: 'fsync', pace: 0.3 }

export function serverHasWaitAof(): boolean {
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' })
  const [, major = 0, minor = 0] = (/v=(\d+)\.(\d+)/.exec(stdout) ?? []).map(Number)
  return major > 7 || (major === 7 && minor >= 2)
}

const GONE_MS = 30_000

export async function startStore(
  fsync: Fsync,
  options: {
    readonly folder?: string
    readonly settings?: Readonly<Record<string, string>>
    readonly env?: Readonly<Record<string, string>>
  } = {}
): Promise<Store> {
  const port = await freePort()
  const folder = options.folder ?? temporaryFolder()
  const settings = { appendonly: 'yes', appendfsync: fsync, ...options.settings }
  const place = { port, folder, ...(options.env === undefined ? {} : { env: options.env }) }
  let server: TestRedis = await startRedis(settings, place)
  return {
    port,
    folder,
    client: () => server.client,
    start: async () => {
      server = await startRedis(settings, place)
    },
    kill: () => server.stop('SIGKILL'),
    gone: async () => {
      const { process } = server
      await until(
        'Redis ending',
        async () => process.exitCode !== null || process.signalCode !== null,
        GONE_MS
      )
      await server.stop('SIGKILL')
    },
    pause: () => void server.process.kill('SIGSTOP'),
    resume: () => void server.process.kill('SIGCONT')
  }
}
