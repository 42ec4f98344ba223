// Tested by test/dispatch/dispatcher.slow.test.ts.
import type { Registry } from 'prom-client'
import { createLastKnown } from '../ops/last-known.ts'
import { metricFactory } from '../ops/metric-factory.ts'
import type { AttemptOutcome } from '../ops/outcomes.ts'
import type { ConsumerStatus } from './consumer-status.ts'

export type DispatchMetrics = ReturnType<typeof createDispatchMetrics>

/**
 * The metrics of consumers. Labels are names of consumer groups and outcomes of a closed set.
 *
 * @param configured the consumers that this process delivers to
 * @param readStatus reads every consumer group at each scrape; rejects when Redis does not answer
 */
export function createDispatchMetrics(
  register: Registry,
  configured: readonly string[],
  readStatus: () => Promise<readonly ConsumerStatus[]>
) {
  const { counter, gauge } = metricFactory(register, configured)
  const attempts = counter('cio_consumer_attempts_total')
  const statuses = createLastKnown(readStatus)
  const perConsumer = (name: Parameters<typeof gauge>[0], measure: (status: ConsumerStatus) => number) =>
    gauge(name, async gauge => {
      for (const status of await statuses.read()) gauge.set({ consumer: status.name }, measure(status))
    })
  perConsumer('cio_consumer_oldest_unacknowledged_seconds', ({ oldestAgeMs }) => (oldestAgeMs ?? 0) / 1000)
  perConsumer('cio_consumer_outstanding', ({ lag, pending, queued }) =>
    lag === undefined ? Number.NaN : lag + pending + queued
  )
  perConsumer('cio_consumer_dead_letters', ({ dead }) => dead)
  perConsumer('cio_consumer_failing', ({ state }) => Number(state === 'failing'))
  perConsumer('cio_consumer_disabled', ({ state }) => Number(state === 'disabled'))
  perConsumer('cio_consumer_paused', ({ state }) => Number(state === 'paused'))
  perConsumer('cio_consumer_no_members', ({ state }) => Number(state === 'no_members'))
  gauge('cio_consumer_status_time_seconds', async gauge => {
    await statuses.read()
    gauge.set((statuses.readAtMs() ?? 0) / 1000)
  })

  return {
    attempt: (consumer: string, outcome: AttemptOutcome, events = 1): void =>
      attempts.inc({ consumer, outcome }, events)
  }
}
