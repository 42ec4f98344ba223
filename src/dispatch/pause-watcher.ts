// Tested by test/dispatch/pause.slow.test.ts.
import { createPollingLoop } from '../async/poll.ts'
import type { ConsumerStates } from './consumer-state.ts'

/** A push consumer that can be started and stopped any number of times. */
export interface Pausable {
  readonly name: string
  /** Neither function rejects. */
  start(): void
  /** Resolves when nothing is in flight. */
  stop(): Promise<void>
  /** For a consumer that can be disabled: whether it has stopped by itself since `start`, because it was. */
  hasStoppedItself?(): boolean
}

/** Half of the 2 s within which every replica obeys: see `ConsumerStates.pause`. */
const POLL_INTERVAL_MS = 1000

/**
 * Starts each consumer unless it is paused or disabled, and follows later changes. Without an answer of Redis, all stay as they are.
 *
 * @returns a function that stops them all. It never rejects
 */
export function watchPauses(
  states: Pick<ConsumerStates, 'paused' | 'disabled'>,
  consumers: readonly Pausable[],
  onError: (error: unknown) => void,
  onChange: (name: string, paused: boolean) => void
): () => Promise<void> {
  const running = new Set<Pausable>()
  const announced = new Set<Pausable>()
  const stopping = new Map<Pausable, Promise<void>>()
  const loop = createPollingLoop(check, POLL_INTERVAL_MS, onError)
  loop.runNow()

  return async () => {
    const stopped = loop.stop()
    for (const consumer of running) stop(consumer)
    await Promise.all([stopped, ...stopping.values()])
  }

  async function check(): Promise<void> {
    const canBeDisabled = consumers.filter(({ hasStoppedItself }) => hasStoppedItself !== undefined)
    const [paused, disabled] = await Promise.all([
      states.paused(),
      states.disabled(canBeDisabled.map(({ name }) => name))
    ])
    if (loop.isStopped) return
    for (const consumer of consumers) {
      const isPaused = paused.has(consumer.name)
      if (isPaused !== announced.has(consumer)) {
        announced[isPaused ? 'add' : 'delete'](consumer)
        onChange(consumer.name, isPaused)
      }
      const mayRun = !isPaused && !disabled.has(consumer.name)
      if (running.has(consumer) && (!mayRun || consumer.hasStoppedItself?.())) stop(consumer)
      // While it is still stopping, a later check starts it.
      else if (mayRun && !running.has(consumer) && !stopping.has(consumer)) {
        running.add(consumer)
        consumer.start()
      }
    }
  }

  function stop(consumer: Pausable): void {
    running.delete(consumer)
    const stopped = consumer.stop().finally(() => stopping.delete(consumer))
    stopping.set(consumer, stopped)
  }
}
