// Tested by test/group/batch-consumer.test.ts.
import { setMaxListeners } from 'node:events'
import type { RedisClient } from '../redis/connect.ts'
import { createAcknowledger } from './acknowledger.ts'
import { createLease } from './lease.ts'
import { createPartitionReader, type PartitionReader } from './partition-reader.ts'
import { createStreamWaiter } from './stream-waiter.ts'

/** One partition from the view of this member: held, wanted, or left to others. */
export interface Assignment {
  /** Renews the lease, or acquires it if `wanted`. If not wanted, drains and releases it. Never rejects. */
  renew(wanted: boolean): Promise<void>
  /** Reads no more entries. Resolves when the work in flight is finished and the lease released. */
  release(): Promise<void>
  /** Ends the work in flight. */
  revoke(): void
  /** Gives up unconfirmed acknowledgements. */
  close(): void
}

interface AssignmentOptions {
  readonly redis: RedisClient
  readonly connect: () => RedisClient
  readonly leaseKey: string
  readonly redeliverKey: string
  readonly leaseMs: number
  readonly token: string
  readonly stream: string
  readonly partition: number
  readonly group: string
  /** Runs once each time the partition is held. */
  readonly work: (reader: PartitionReader) => Promise<void>
  readonly onError: (error: unknown) => void
}

/** From acquiring the lease to releasing it. */
interface Session {
  readonly draining: AbortController
  readonly revoked: AbortController
  readonly done: Promise<void>
}

export function createAssignment(options: AssignmentOptions): Assignment {
  const { redis, connect, stream, work, onError } = options
  const lease = createLease(redis, options.leaseKey, options.token, options.leaseMs)
  const acknowledger = createAcknowledger({ redis, stream, group: options.group, onError })
  let session: Session | undefined
  /** While the lease is being released, a renewal would acquire it again. */
  let releasing = false
  let ended = false

  return {
    renew: async wanted => {
      if (!wanted) session?.draining.abort()
      // A draining session keeps the lease, because it still has entries in flight.
      if (releasing || (session === undefined && (ended || !wanted))) return
      if (!(await renewLease()) || !wanted || session !== undefined) return
      // After a `release` in the meantime, a new session would never end.
      if (ended) await lease.release().catch(onError)
      else session = open()
    },
    release: async () => {
      ended = true
      session?.draining.abort()
      await session?.done
    },
    revoke,
    close: () => acknowledger.close()
  }

  /** @returns whether the lease is ours; if not, the session is revoked */
  async function renewLease(): Promise<boolean> {
    try {
      if (await lease.acquireOrRenew()) return true
    } catch (error) {
      onError(error)
      if (lease.mayStillHold()) return session !== undefined
    }
    revoke()
    return false
  }

  function revoke(): void {
    session?.draining.abort()
    session?.revoked.abort()
  }

  function open(): Session {
    const draining = new AbortController()
    const revoked = new AbortController()
    // There is a listener for each event in flight.
    setMaxListeners(0, draining.signal, revoked.signal)
    const waiter = createStreamWaiter(connect, stream)
    draining.signal.addEventListener('abort', () => waiter.close(), { once: true })
    const reader = createPartitionReader({
      ...options,
      lease,
      renewLease,
      acknowledger,
      waiter,
      draining: draining.signal,
      revoked: revoked.signal
    })
    const done = run(reader).finally(() => {
      draining.abort()
      revoked.abort()
      session = undefined
      releasing = false
    })
    return { draining, revoked, done }
  }

  async function run(reader: PartitionReader): Promise<void> {
    try {
      await work(reader)
      await acknowledger.flushed()
      releasing = true
      await lease.release()
    } catch (error) {
      onError(error)
    }
  }
}
