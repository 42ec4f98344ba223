import { setMaxListeners } from 'node:events'
import type { RedisClient } from '../redis/connect.ts'
import { createAcknowledger } from './acknowledger.ts'
import { createLease } from './lease.ts'
import { createPartitionReader, type PartitionReader } from './partition-reader.ts'
import { createStreamWaiter } from './stream-waiter.ts'

/** One partition as this member sees it: held, or wanted, or left to others. */
export interface Assignment {
  /** One look at it: keeps its lease or takes it where `wanted`, else finishes and lets it go. Never rejects. */
  renew(wanted: boolean): Promise<void>
  /** Takes nothing more. @returns when what is under way is finished and the lease given back */
  release(): Promise<void>
  /** Finishes nothing more. */
  revoke(): void
  /** Gives up the acknowledgements that Redis has not heard yet. */
  close(): void
}

export interface AssignmentOptions {
  readonly redis: RedisClient
  readonly connect: () => RedisClient
  readonly leaseKey: string
  readonly putBackKey: string
  readonly leaseMs: number
  readonly token: string
  readonly stream: string
  readonly partition: number
  readonly group: string
  /** Runs once for each time the partition is held. */
  readonly work: (held: PartitionReader) => Promise<void>
  readonly onError: (error: unknown) => void
}

/** From taking the lease to giving it back. */
interface Session {
  readonly ending: AbortController
  readonly over: AbortController
  readonly done: Promise<void>
}

export function createAssignment(options: AssignmentOptions): Assignment {
  const { redis, connect, stream, work, onError } = options
  const lease = createLease(redis, options.leaseKey, options.token, options.leaseMs)
  const acknowledger = createAcknowledger({ redis, stream, group: options.group, onError })
  let session: Session | undefined
  /** From when the lease is being given back: a renewal sent after that would take it again. */
  let releasing = false
  let ended = false

  return {
    renew: async wanted => {
      if (!wanted) session?.ending.abort()
      // While it ends, the lease is kept: what is under way is still ours.
      if (releasing || (session === undefined && (ended || !wanted))) return
      if (!(await keepLease()) || !wanted || session !== undefined) return
      // `end` may have been called meanwhile: a session opened now would never end.
      if (ended) await lease.release().catch(onError)
      else session = open()
    },
    release: async () => {
      ended = true
      session?.ending.abort()
      await session?.done
    },
    revoke: abandon,
    close: () => acknowledger.close()
  }

  /** @returns whether the lease is ours; where it is not, the session is over */
  async function keepLease(): Promise<boolean> {
    try {
      if (await lease.acquireOrRenew()) return true
    } catch (error) {
      onError(error)
      if (lease.mayStillHold()) return session !== undefined
    }
    abandon()
    return false
  }

  function abandon(): void {
    session?.ending.abort()
    session?.over.abort()
  }

  function open(): Session {
    const ending = new AbortController()
    const over = new AbortController()
    // As many listen as there are events under way.
    setMaxListeners(0, ending.signal, over.signal)
    const wakeUp = createStreamWaiter(connect, stream)
    ending.signal.addEventListener('abort', () => wakeUp.close(), { once: true })
    const held = createPartitionReader({
      ...options,
      lease: { key: lease.key, token: lease.token, keep: keepLease },
      acknowledger,
      wakeUp,
      ending: ending.signal,
      signal: over.signal
    })
    const done = run(held).finally(() => {
      ending.abort()
      over.abort()
      session = undefined
      releasing = false
    })
    return { ending, over, done }
  }

  async function run(held: PartitionReader): Promise<void> {
    try {
      await work(held)
      await acknowledger.flushed()
      releasing = true
      await lease.release()
    } catch (error) {
      onError(error)
    }
  }
}
