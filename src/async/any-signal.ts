/**
 * Runs work under a signal of its own, which aborts with the first of these, and when the work is over.
 *
 * `AbortSignal.any` would leave some 50 bytes on a signal that lives as long as the process (Node 20), for each
 * event that is pushed.
 */
export async function withAnySignal<T>(
  signals: readonly AbortSignal[],
  work: (signal: AbortSignal) => Promise<T>
): Promise<T> {
  const own = new AbortController()
  const abort = (): void => own.abort()
  for (const signal of signals) {
    if (signal.aborted) abort()
    signal.addEventListener('abort', abort, { once: true })
  }
  try {
    return await work(own.signal)
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', abort)
    abort()
  }
}
