// Tested by test/console/pages/consumers.slow.test.ts.
import { withTimeout } from '../../../async/abort.ts'
import { singleFlight } from '../../../async/single-flight.ts'
import type { ConsumerList } from '../../../tools/consumers/actions.ts'

export interface Snapshot extends Pick<ConsumerList, 'consumers' | 'removedConsumers'> {
  /** When it was read, unix milliseconds. */
  readonly atMs: number
}

/** Reading a thousand consumers takes ten thousand calls: not more often than this, however many people look. */
const FRESH_MS = 2000
/** An older one is shown only as long as it is not older than this. */
const USABLE_MS = 15_000
/** Within so long, a page waits for a newer one. */
const PATIENCE_MS = 150

/** Returns the status of all consumers, some seconds old if reading takes long. It rejects with the error of Redis. */
export function consumerSnapshots(
  read: () => Promise<ConsumerList>,
  now: () => number
): () => Promise<Snapshot> {
  let last: Snapshot | undefined
  const readNew = singleFlight(async () => {
    const atMs = now()
    const { consumers, removedConsumers } = await read()
    last = { consumers, removedConsumers, atMs }
    return last
  })
  return async () => {
    if (last !== undefined && now() - last.atMs < FRESH_MS) return last
    const next = readNew()
    if (last === undefined || now() - last.atMs > USABLE_MS) return next
    return (await withTimeout(PATIENCE_MS, next)) ?? last
  }
}
