import { setTimeout as sleep } from 'node:timers/promises'

/** The wait after the first failure, and the longest one. */
export interface Backoff {
  readonly firstMs: number
  readonly maxMs: number
}

interface BackoffOptions {
  /** Each wait is this many times as long as the one before. */
  readonly factor?: number
  /** What the other side asked for: honoured where it is longer, up to `maxMs`. */
  readonly retryAfterMs?: number | undefined
  /** From 0 to 1. */
  readonly random?: number
}

/** Waits vary by a fifth in both directions, so that clients that failed together do not come back together. */
const JITTER = 0.2

/**
 * The wait before the next attempt, in milliseconds.
 *
 * @param failures attempts that have failed so far, from 1
 */
export function backoffMs(
  { firstMs, maxMs }: Backoff,
  failures: number,
  { factor = 2, retryAfterMs = 0, random = Math.random() }: BackoffOptions = {}
): number {
  const waitMs = Math.min(maxMs, firstMs * factor ** (failures - 1))
  const jittered = waitMs * (1 - JITTER + 2 * JITTER * random)
  return Math.round(Math.max(jittered, Math.min(retryAfterMs, maxMs)))
}

/** Waits until the time has passed or the signal is aborted. Never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await sleep(ms, undefined, { signal }).catch(() => {})
}
