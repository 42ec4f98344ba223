import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Test } from 'tap'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { temporaryFolder } from '../helpers/server.ts'
import { type Container, startContainer } from './container.ts'
import { buildImage, docker, freshClone } from './docker.ts'

/** An image of the commit at hand and a Redis on this machine, for one file of tests. */
interface Setting {
  readonly image: string
  readonly redis: TestRedis
  /** The service in a container, removed with the test. */
  start(t: Test, env?: Readonly<Record<string, string>>): Promise<Container>
  /** Events in the log. */
  length(): Promise<number>
}

/** @param t the file's own root, so that all of it goes when the last test has ended */
export async function prepare(t: Pick<Test, 'before' | 'teardown'>, name: string): Promise<Setting> {
  const image = `cio-webhook-proof:${name}-${process.pid}`
  const folder = temporaryFolder()
  const redis = await startRedis({ appendonly: 'yes' })
  t.teardown(async () => {
    await redis.stop()
    await docker('rmi', '--force', image).catch(() => {})
    rmSync(folder, { recursive: true })
  })
  t.before(async () => {
    await freshClone(folder)
    await buildImage(image, folder)
  })
  return {
    image,
    redis,
    start: async (t, env = {}) => {
      const container = await startContainer(image, {
        REDIS_URL: redis.url,
        CIO_ALLOWED_IPS: '127.0.0.1',
        ...env
      })
      t.teardown(() => container.remove())
      return container
    },
    length: () => redis.client.xlen('cio:events:{0}')
  }
}

/** Takes connections and says nothing. */
export function startSilentServer(
  t: Test
): Promise<{ readonly port: number; readonly connections: () => number }> {
  let connections = 0
  const server = createServer(() => connections++)
  t.teardown(() => server.close())
  return new Promise(resolve =>
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      resolve({ port, connections: () => connections })
    })
  )
}
