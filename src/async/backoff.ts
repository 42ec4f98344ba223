import { setTimeout as sleep } from 'node:timers/promises'

/** The pauses between attempts: from `firstMs`, twice as long after each failure, up to `maxMs`. */
export interface Backoff {
  readonly firstMs: number
  readonly maxMs: number
}

/**
 * The pause before the next attempt, in milliseconds. It is random between half and all of the nominal one, so that
 * clients that failed together do not retry together.
 *
 * @param failures failed attempts so far, from 1
 */
export function backoffMs({ firstMs, maxMs }: Backoff, failures: number): number {
  const fullMs = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30))
  return Math.round(fullMs * (0.5 + Math.random() / 2))
}

/** Waits, at most until the signal is aborted. Never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await sleep(ms, undefined, { signal }).catch(() => {})
}
