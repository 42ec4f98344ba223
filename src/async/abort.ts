/** Resolves like `promise`, or with `false` as soon as the signal is aborted; the promise is then ignored. */
export function raceAbort<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | false> {
  return untilAbort<T | false>(signal, promise, resolve => resolve(false))
}

/** Resolves like `promise`, or rejects as soon as the signal is aborted; the promise is then ignored. */
export function rejectOnAbort<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return untilAbort(signal, promise, (_, reject) => reject(new Error('aborted before there was an answer')))
}

function untilAbort<T>(
  signal: AbortSignal,
  promise: Promise<T>,
  onAbort: (resolve: (value: T) => void, reject: (error: Error) => void) => void
): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => onAbort(resolve, reject)
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}

/**
 * Runs work under a signal of its own. It aborts with the first of `signals`, and when the work has ended.
 *
 * `AbortSignal.any` would leave about 50 bytes per pushed event on a signal that lives as long as the process
 * (Node 20).
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

/** Resolves like `promise`, or with `undefined` after `limitMs`; the promise is then ignored. */
export async function withTimeout<T>(limitMs: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined
  const limit = new Promise<undefined>(resolve => {
    timer = setTimeout(() => resolve(undefined), limitMs)
  })
  try {
    return await Promise.race([promise, limit])
  } finally {
    clearTimeout(timer)
  }
}
