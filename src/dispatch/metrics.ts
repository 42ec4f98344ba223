import { Counter, Gauge, type Registry } from 'prom-client'
import type { ConsumerStatus } from './consumer-status.ts'
import type { AttemptOutcome } from './sinks/http.ts'

export type DispatchMetrics = ReturnType<typeof createDispatchMetrics>

const outcomes = ['delivered', 'failed', 'dead', 'gone'] as const satisfies readonly AttemptOutcome[]

/**
 * What becomes of events on their way to consumers. Labels are names of consumer groups and outcomes of a closed
 * set.
 *
 * @param configured the consumers of `CONSUMERS_FILE`
 * @param read every consumer group there is, asked at each scrape; rejects when Redis does not answer
 */
export function createDispatchMetrics(
  register: Registry,
  configured: readonly string[],
  read: () => Promise<readonly ConsumerStatus[]>
) {
  const registers = [register]
  const attempts = new Counter({
    name: 'cio_consumer_attempts_total',
    help: 'Attempts to hand an event on, by what became of them; a broker that is away fails once a batch',
    labelNames: ['consumer', 'outcome'],
    registers
  })
  let reading: Promise<readonly ConsumerStatus[]> | undefined
  const readOnce = (): Promise<readonly ConsumerStatus[]> => {
    reading ??= read()
      .catch(() => [])
      .finally(() => {
        reading = undefined
      })
    return reading
  }
  const gauge = (name: string, help: string, measure: (reading: ConsumerStatus) => number): void => {
    new Gauge({
      name,
      help,
      labelNames: ['consumer'],
      aggregator: 'max',
      registers,
      async collect() {
        this.reset()
        for (const consumer of await readOnce()) this.set({ consumer: consumer.name }, measure(consumer))
      }
    })
  }
  gauge(
    'cio_consumer_oldest_unacknowledged_seconds',
    'Age of the oldest event that a consumer has not got, 0 where there is none',
    ({ oldestAgeMs }) => (oldestAgeMs ?? 0) / 1000
  )
  gauge(
    'cio_consumer_outstanding',
    'Events that a consumer has not got, those in its push queue included',
    c => (c.lag === undefined ? Number.NaN : c.lag + c.pending + c.queued)
  )
  gauge('cio_consumer_dead_letters', 'Dead letters that wait for somebody', ({ dead }) => dead)
  gauge('cio_consumer_disabled', '1 while a consumer is told nothing, since it answered 410', c =>
    c.state === 'disabled' ? 1 : 0
  )
  gauge(
    'cio_consumer_unserved',
    '1 while nobody works for a consumer group that keeps events in the log',
    c => (c.state === 'unserved' ? 1 : 0)
  )
  for (const consumer of configured) {
    for (const outcome of outcomes) attempts.inc({ consumer, outcome }, 0)
  }

  return {
    attempt: (consumer: string, outcome: AttemptOutcome): void => attempts.inc({ consumer, outcome }),
    published: (consumer: string, count: number): void =>
      attempts.inc({ consumer, outcome: 'delivered' }, count),
    publishFailed: (consumer: string): void => attempts.inc({ consumer, outcome: 'failed' }),
    dead: (consumer: string): void => attempts.inc({ consumer, outcome: 'dead' })
  }
}
