import { setTimeout as sleep } from 'node:timers/promises'

/** How long to wait between tries: twice as long after each, from `firstMs` up to `maxMs`. */
export interface Backoff {
  readonly firstMs: number
  readonly maxMs: number
}

/**
 * The wait before the next try, in milliseconds. Between half of it and all of it is left to chance, so that
 * what failed together does not come back together.
 *
 * @param failures tries that have failed so far, from 1
 */
export function backoffMs({ firstMs, maxMs }: Backoff, failures: number): number {
  const fullMs = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30))
  return Math.round(fullMs * (0.5 + Math.random() / 2))
}

/** Waits, or less: until the signal is aborted. Never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await sleep(ms, undefined, { signal }).catch(() => {})
}
