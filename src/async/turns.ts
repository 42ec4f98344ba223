/** Resolves for one caller after the other, with a turn of the event loop in between: what else is ready goes first. */
export function createTurns(): () => Promise<void> {
  let last = Promise.resolve()
  return () => {
    last = last.then(() => new Promise(resolve => setImmediate(resolve)))
    return last
  }
}
