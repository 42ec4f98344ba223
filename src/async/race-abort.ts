/** What the promise comes to, or `false` as soon as the signal is aborted, whatever becomes of the promise then. */
export async function raceAbort<T>(signal: AbortSignal, promise: Promise<T>): Promise<T | false> {
  let stopListening = (): void => {}
  const over = new Promise<false>(resolve => {
    if (signal.aborted) return resolve(false)
    const abort = (): void => resolve(false)
    signal.addEventListener('abort', abort, { once: true })
    stopListening = () => signal.removeEventListener('abort', abort)
  })
  try {
    return await Promise.race([over, promise])
  } finally {
    stopListening()
  }
}
