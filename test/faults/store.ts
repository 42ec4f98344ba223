import type { Redis } from 'ioredis'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'

/** A Redis that can be killed, paused, and started again with its data, always on the same port. */
export interface Store {
  readonly port: number
  readonly folder: string
  /** A client of the current process; closed when that is killed. */
  client(): Redis
  start(): Promise<void>
  kill(): Promise<void>
  /** Resolves when Redis has exited by itself. */
  exited(): Promise<void>
  pause(): void
  resume(): void
}

type Fsync = 'always' | 'everysec'

export interface Persistence {
  /** `appendfsync` of Redis. */
  readonly fsync: Fsync
  /** `DURABILITY` of the service. */
  readonly durability: 'fsync' | 'server'
  /** Rate of deliveries relative to `always`. */
  readonly pace: number
}

export const always: Persistence = { fsync: 'always', durability: 'fsync', pace: 1 }
export const everysec: Persistence = { fsync: 'everysec', durability: 'server', pace: 1 }
/** `everysec`, but each response waits with WAITAOF (Redis 7.2), up to a second. */
export const waitAof: Persistence = { fsync: 'everysec', durability: 'fsync', pace: 0.3 }

const EXIT_TIMEOUT_MS = 30_000

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
    exited: async () => {
      const { process } = server
      await until(
        'Redis has exited',
        async () => process.exitCode !== null || process.signalCode !== null,
        EXIT_TIMEOUT_MS
      )
      await server.stop('SIGKILL')
    },
    pause: () => void server.process.kill('SIGSTOP'),
    resume: () => void server.process.kill('SIGCONT')
  }
}
