// Tested by test/dispatch/http/gate.test.ts.
import type { PushFailure } from './request.ts'

/** `atMs`: when the request began, unix milliseconds. `retryAfterMs`: what the receiver asked for, for all requests. */
export type GateFailure = Pick<PushFailure, 'cause' | 'retryAfterMs'> & { readonly atMs: number }

/** The failures of one receiver since its last success. */
export interface FailuresInARow {
  readonly count: number
  readonly connections: number
  /** When the first request that failed began, unix milliseconds; Infinity: none did. */
  readonly sinceMs: number
}

export const NO_FAILURES: FailuresInARow = { count: 0, connections: 0, sinceMs: Number.POSITIVE_INFINITY }

/**
 * So many mean that the receiver is down, not that it rejects single events. More if more requests are in flight, without
 * an upper limit: when one of four servers behind a load balancer dies, a quarter of 500 requests can fail in a row. All
 * 500 fail as fast as five would: they are in flight together.
 */
const MIN_DOWN_FAILURES = 5
/** Failed connections: fewer are enough. One alone happens when a server closes an idle connection. */
const DOWN_CONNECTIONS = 2

export function addFailure(row: FailuresInARow, { cause, atMs }: GateFailure): FailuresInARow {
  return {
    count: row.count + 1,
    connections: row.connections + (cause === 'connection' ? 1 : 0),
    sinceMs: Math.min(row.sinceMs, atMs)
  }
}

/** @param inFlight requests in flight, the last one that failed included */
export function meansDown({ count, connections }: FailuresInARow, inFlight: number): boolean {
  return connections >= DOWN_CONNECTIONS || count >= Math.max(MIN_DOWN_FAILURES, inFlight)
}
