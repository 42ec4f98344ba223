import type { Redis } from 'ioredis'
import { startRedis, type TestRedis } from './redis.ts'
import { freeze, temporaryFolder } from './server.ts'

/** A server that can be stopped and started again with the same data. */
export interface StoppableServer {
  current: TestRedis
  isDown: boolean
  /** @throws if the server is down, or frozen: it would reply only after `start` */
  readonly ask: <T>(command: (client: Redis) => Promise<T>) => Promise<T>
  readonly freeze: () => Promise<void>
  readonly kill: () => Promise<void>
  /** @param settings in addition to the first ones */
  readonly start: (settings?: Readonly<Record<string, string>>, port?: number) => Promise<void>
}

/** @param sentinel its configuration file, if it is a sentinel */
export async function startStoppable(
  settings: Readonly<Record<string, string>>,
  started?: TestRedis,
  sentinel?: string
): Promise<StoppableServer> {
  const folder = started?.folder ?? temporaryFolder()
  let isFrozen = false
  // One after the other: of two starts at the same time, one server would never be stopped.
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = (change: () => Promise<void>): Promise<void> => {
    const next = last.then(change)
    last = next.catch(() => {})
    return next
  }
  const server: StoppableServer = {
    current: started ?? (await startRedis(settings, { folder })),
    isDown: false,
    ask: async command => {
      if (server.isDown || isFrozen) throw new Error(`${isFrozen ? 'frozen' : 'down'}: ${server.current.url}`)
      return command(server.current.client)
    },
    freeze: () =>
      inTurn(async () => {
        if (server.isDown) return
        await freeze(server.current)
        isFrozen = true
      }),
    kill: () =>
      inTurn(async () => {
        if (!server.isDown) await server.current.stop('SIGKILL')
        server.isDown = true
      }),
    start: (more, port) =>
      inTurn(async () => {
        isFrozen = false
        if (!server.isDown) return void server.current.process.kill('SIGCONT')
        const own = sentinel === undefined ? {} : { sentinel }
        server.current = await startRedis(
          { ...settings, ...more },
          { folder, port: port ?? server.current.port, ...own }
        )
        server.isDown = false
      })
  }
  return server
}
