import type { Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { Outcome } from '../ops/outcomes.ts'
import type { Delivery } from './delivery.ts'

/** What the operator should see without looking for it; everything else is a matter of course. */
const warned: ReadonlySet<Outcome> = new Set([
  'parked',
  'source_forbidden',
  'too_large',
  'unavailable',
  'aborted'
])

/** Tells what became of a delivery: in the metrics, and in the one log line it gets. */
export function recordDelivery(
  delivery: Delivery,
  status: number,
  nowMs: number,
  metrics: Metrics,
  log: Logger
): void {
  const {
    source,
    outcome = 'aborted',
    reason,
    parked,
    address,
    startedMs,
    key,
    id,
    type,
    bytes,
    ageSeconds,
    logMs,
    cause
  } = delivery
  const durationMs = nowMs - startedMs
  metrics.delivery(source.name, outcome, durationMs / 1000)
  if (outcome === 'parked' && parked !== undefined) metrics.parked(source, parked)
  if (ageSeconds !== undefined && outcome === 'accepted') metrics.eventAge(ageSeconds)

  const line = {
    outcome,
    status,
    source: source.name,
    id,
    type,
    reason: reason ?? parked,
    key,
    address,
    bytes,
    ageSeconds,
    durationMs: round(durationMs),
    logMs: logMs === undefined ? undefined : round(logMs),
    err: cause
  }
  if (warned.has(outcome)) log.warn(line, 'delivery')
  else log.info(line, 'delivery')
}

/** Microseconds are as fine as anybody looks. */
const round = (ms: number): number => Math.round(ms * 1000) / 1000
