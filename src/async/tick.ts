/** Between two ticks. */
export const TICK_MS = 250

const listeners = new Set<() => void>()
let timer: NodeJS.Timeout | undefined

/**
 * Calls a function at every tick of the process, four times per second. The timer does not keep the process alive.
 *
 * All of them share one timer: the process wakes up for each timer that is due, and that costs more than what the functions
 * do in an idle process (about 0.1 ms).
 *
 * @param listener must not throw
 * @returns stops the calls
 */
export function onTick(listener: () => void): () => void {
  listeners.add(listener)
  timer ??= setInterval(tick, TICK_MS).unref()
  return () => {
    listeners.delete(listener)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

function tick(): void {
  for (const listener of listeners) listener()
}
