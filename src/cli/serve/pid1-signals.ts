// Tested by test/image/shutdown.slow.test.ts.
/**
 * Linux drops a signal that process 1 has no handler for. As a container's first process we would not notice a stop
 * before `serve` listens for it, and the stop would take its whole grace period. So this module is loaded first.
 *
 * Once a command has its own handlers, these do nothing.
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
