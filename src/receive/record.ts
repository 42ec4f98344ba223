// Tested by test/receive/route.test.ts.
import type { Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { Outcome } from '../ops/outcomes.ts'
import type { Delivery } from './delivery.ts'
import type { DeliveryCounter } from './delivery-counter.ts'
import { endDeliverySpan } from './delivery-span.ts'
import { fixOf } from './fix.ts'

/** Outcomes that are logged as a warning. */
const warned: ReadonlySet<Outcome> = new Set([
  'parked',
  'source_forbidden',
  'too_large',
  'unavailable',
  'aborted'
])

interface Records {
  readonly metrics: Metrics
  readonly counter: Pick<DeliveryCounter, 'record'>
  readonly log: Logger
}

/** Counts the outcome of a delivery in the metrics, ends its span, and writes its log line. */
export function recordDelivery(
  delivery: Delivery,
  status: number,
  nowMs: number,
  { metrics, counter, log }: Records
): void {
  const { source, outcome = 'aborted', parked, ageSeconds, logMs, span } = delivery
  const durationMs = nowMs - delivery.startedMs
  metrics.delivery(source.name, outcome, durationMs / 1000, span?.traceId)
  counter.record(delivery, outcome, nowMs)
  if (outcome === 'parked' && parked !== undefined) metrics.parked(source, parked)
  if (ageSeconds !== undefined && outcome === 'accepted') metrics.eventAge(ageSeconds)
  if (span !== undefined) endDeliverySpan(span, delivery, outcome, status)

  const line = {
    outcome,
    status,
    source: source.name,
    id: delivery.id,
    type: delivery.type,
    reason: delivery.reason ?? parked,
    fix: fixOf(outcome, delivery),
    key: delivery.key,
    address: delivery.address,
    bytes: delivery.bytes,
    ageSeconds,
    durationMs: round(durationMs),
    logMs: logMs === undefined ? undefined : round(logMs),
    err: delivery.cause
  }
  if (span !== undefined) Object.assign(line, { trace_id: span.traceId, span_id: span.spanId })
  if (warned.has(outcome) || isFromCustomerIo(outcome, delivery)) log.warn(line, 'delivery')
  else log.info(line, 'delivery')
}

/** A wrong key, probably. Other addresses must not be able to cause warnings at will (law 9). */
const isFromCustomerIo = (outcome: Outcome, { listed, doctor }: Delivery): boolean =>
  outcome === 'signature_invalid' && listed && doctor !== true

/** To microseconds. */
const round = (ms: number): number => Math.round(ms * 1000) / 1000
