import { monitorEventLoopDelay } from 'node:perf_hooks'

export interface LoadWatch {
  /** Is the event loop too far behind to answer new deliveries in time? */
  isOverloaded(): boolean
  stop(): void
}

const SAMPLE_MS = 1000
/** A sample's mean delay from which new deliveries are turned away, so that old ones are in time. */
const OVERLOADED_DELAY_MS = 2000
/** One long turn is over when the next delivery comes; only if they go on is it of use to turn one away. */
const OVERLOADED_SAMPLES = 2

export function watchLoad(): LoadWatch {
  const delays = monitorEventLoopDelay()
  delays.enable()
  let overloadedSamples = 0
  const timer = setInterval(() => {
    overloadedSamples = delays.mean / 1e6 > OVERLOADED_DELAY_MS ? overloadedSamples + 1 : 0
    delays.reset()
  }, SAMPLE_MS)
  timer.unref()
  return {
    isOverloaded: () => overloadedSamples >= OVERLOADED_SAMPLES,
    stop: () => {
      clearInterval(timer)
      delays.disable()
    }
  }
}
