import { singleFlight } from '../async/single-flight.ts'

/** A list that is read at each scrape, and stays as it was while it cannot be read. */
export interface LastKnown<T> {
  /** Reads it, once for all callers at the same time. @returns the last known list if that fails; empty at first */
  read(): Promise<readonly T[]>
  /** When it was last read, unix milliseconds; `undefined` before the first time. */
  readAtMs(): number | undefined
}

/**
 * During an outage of Redis, the backlog of consumers matters most. Without their series, alerts about consumers would
 * end, and dashboards would be empty.
 */
export function createLastKnown<T>(
  read: () => Promise<readonly T[]>,
  now: () => number = Date.now
): LastKnown<T> {
  let known: readonly T[] = []
  let readAtMs: number | undefined
  return {
    read: singleFlight(async () => {
      try {
        known = await read()
        readAtMs = now()
      } catch {
        // The cause is logged where the connection is watched.
      }
      return known
    }),
    readAtMs: () => readAtMs
  }
}
