import type { ServiceProcess } from '../../test/helpers/process.ts'
import type { TestRedis } from '../../test/helpers/redis.ts'
import { until } from '../../test/helpers/server.ts'
import type { Kind } from './kinds.ts'
import { append, CONSUMER, untilDone } from './log.ts'
import { startChild, withDispatcher } from './processes.ts'
import type { Seen } from './receiver.ts'

/** A consumer of one kind with its receiver. */
export interface RunningConsumer {
  /** The process that does the work: the service, or that of the library. */
  readonly pid: number
  /** The events received since the last call, as soon as there are so many, or after half a minute. */
  seen(count: number): Promise<Seen>
  /** Resolves when no event is processed any more. */
  pause(): Promise<void>
  resume(): Promise<void>
}

/** The code is compiled and connections are open after so many events. */
const WARM_UP_EVENTS = 5000
const WARM_UP_TIMEOUT_MS = 60_000

/**
 * Runs a consumer on an empty log, and lets it process some events before `use`.
 *
 * @param env of the service
 */
export async function withConsumer<T>(
  kind: Kind,
  redis: TestRedis,
  env: Record<string, string>,
  use: (consumer: RunningConsumer) => Promise<T>
): Promise<T> {
  await redis.client.flushall()
  await append(redis, WARM_UP_EVENTS)
  const receiver = await startChild<Seen>('receiver', kind.name, kind.address)
  const seen = (count: number) => receiver.ask(`seen ${count}`)
  const warmedUp = async (consumer: RunningConsumer): Promise<T> => {
    await untilDone(redis, WARM_UP_TIMEOUT_MS)
    await seen(WARM_UP_EVENTS)
    return use(consumer)
  }
  try {
    if (kind.name !== 'library') {
      return await withDispatcher(redis, kind.consumers(receiver.greeting), env, service =>
        warmedUp({ pid: service.process.pid ?? 0, seen, ...pausing(redis, service) })
      )
    }
    return await warmedUp({
      pid: receiver.pid,
      seen,
      pause: async () => void (await receiver.ask('pause')),
      resume: async () => void (await receiver.ask('resume'))
    })
  } finally {
    receiver.end()
  }
}

function pausing(redis: TestRedis, service: ServiceProcess): Pick<RunningConsumer, 'pause' | 'resume'> {
  return {
    pause: async () => {
      await redis.client.hset('cio:paused', CONSUMER, Date.now())
      await until('the consumer is paused', async () => service.output().includes('"consumer paused"'))
    },
    resume: async () => {
      await redis.client.hdel('cio:paused', CONSUMER)
    }
  }
}
