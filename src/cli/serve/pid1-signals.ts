/**
 * As a container's first process we would never hear a signal before `serve` listens for it: Linux drops what
 * PID 1 has no handler for, and the stop would take its whole grace period. So this is loaded before all else.
 *
 * Once a command listens itself, this one stays out of its way.
 */
if (process.pid === 1) {
  for (const [signal, number] of [
    ['SIGTERM', 15],
    ['SIGINT', 2]
  ] as const) {
    process.on(signal, () => {
      if (process.listenerCount(signal) === 1) process.exit(128 + number)
    })
  }
}
