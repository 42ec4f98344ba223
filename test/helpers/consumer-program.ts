import type { TestRedis } from './redis.ts'
import { type RunningServer, startServer } from './server.ts'

interface ConsumerProgram {
  readonly folder: string
  readonly file: string
  readonly redis: TestRedis
  /** Path of the Node that runs it. Default: the one that runs the test. */
  readonly node?: string
}

const LEASE = 'cio:lease:{0}:crm'

/** Runs a user's program that consumes as group `crm`. Resolves once the program holds the lease. */
export function startConsumerProgram(program: ConsumerProgram): Promise<RunningServer> {
  const { folder, file, redis, node = process.execPath } = program
  return startServer({
    command: node,
    args: [file],
    folder,
    env: { REDIS_URL: redis.url },
    ready: () => holdsLease(redis)
  })
}

/** Does a member of the group `crm` hold the first partition? A member that stopped has released it. */
export async function holdsLease(redis: TestRedis): Promise<boolean> {
  return (await redis.client.exists(LEASE)) === 1
}
