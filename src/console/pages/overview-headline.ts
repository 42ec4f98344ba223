import { counted } from '../../counted.ts'
import type { DeliveryRow } from '../../receive/delivery-stats.ts'
import { duration, number, type Tone } from '../components.ts'
import type { ConsoleStatus } from '../status.ts'
import { authenticOf } from './deliveries.ts'

/** The answer to "Is Customer.io getting through?". */
export interface Headline {
  readonly tone: Tone
  readonly text: string
  /** What follows from it, or what to do. */
  readonly note: string | undefined
}

interface Deliveries {
  /** Of the last hour, per minute. */
  readonly rows: readonly DeliveryRow[]
  /** Unix milliseconds of the last authentic delivery; `undefined` if there never was one. */
  readonly lastAtMs: number | undefined
}

const HOUR_MS = 60 * 60 * 1000
/** Deliveries of this time decide whether they are refused now. */
const RECENT_MS = 5 * 60 * 1000
/** A silence this much longer than the mean interval is unusual. */
const UNUSUAL_INTERVALS = 20
const SHORTEST_SILENCE_MS = 60_000

/** Errors that mean that deliveries are refused. */
const REFUSALS: ReadonlySet<string> = new Set(['wrong_key', 'authentic_but_refused'])

/** @param deliveries `undefined` if they cannot be read now */
export function headline(
  status: Pick<ConsoleStatus, 'outage' | 'problems'>,
  deliveries: Deliveries | undefined,
  nowMs: number
): Headline {
  const { outage, problems } = status
  if (outage !== undefined) {
    return {
      tone: 'bad',
      text: `Deliveries get 503. ${outage}.`,
      note: 'Customer.io retries them for 7 days, and later events wait behind them. No event is lost until then.'
    }
  }
  if (deliveries === undefined) {
    return { tone: 'warning', text: 'Deliveries cannot be read from Redis now.', note: undefined }
  }
  const { rows, lastAtMs } = deliveries
  const recent = countsOf(rows.filter(({ fromMs }) => fromMs > nowMs - RECENT_MS))
  const refusal = problems.find(({ id, severity }) => severity === 'error' && REFUSALS.has(id))
  if (refusal !== undefined && recent.refused > 0) {
    return { tone: 'bad', text: `Customer.io is refused. ${refusal.summary}`, note: `Fix: ${refusal.fix}` }
  }
  if (recent.unavailable > recent.authentic) {
    return {
      tone: 'bad',
      text: `Deliveries get 503: ${number(recent.unavailable)} in the last ${duration(RECENT_MS)}.`,
      note: 'Customer.io retries them for 7 days. The reasons are below.'
    }
  }
  if (lastAtMs === undefined) {
    return {
      tone: 'neutral',
      text: 'No delivery yet.',
      note: 'Add the webhook at Customer.io, or send an example: cio-webhook send'
    }
  }
  return silence(deliveries, lastAtMs, nowMs) ?? flowing(rows, recent, lastAtMs, nowMs)
}

function silence({ rows }: Deliveries, lastAtMs: number, nowMs: number): Headline | undefined {
  const { authentic } = countsOf(rows)
  const silentMs = nowMs - lastAtMs
  const usualMs = Math.max(SHORTEST_SILENCE_MS, (UNUSUAL_INTERVALS * HOUR_MS) / Math.max(1, authentic))
  if (silentMs < Math.min(usualMs, HOUR_MS)) return undefined
  return {
    tone: 'warning',
    text: `No delivery for ${duration(silentMs)}.`,
    note: 'Check the webhook at Customer.io, and the way to this service from outside: cio-webhook doctor <public URL>'
  }
}

function flowing(
  rows: readonly DeliveryRow[],
  recent: ReturnType<typeof countsOf>,
  lastAtMs: number,
  nowMs: number
): Headline {
  const { authentic } = countsOf(rows)
  const deliveries = `${counted(authentic, 'delivery', 'deliveries')} in the last hour, the last one ${duration(Math.max(1000, nowMs - lastAtMs))} ago`
  if (recent.unavailable === 0) {
    return { tone: 'good', text: `Customer.io is getting through: ${deliveries}.`, note: undefined }
  }
  return {
    tone: 'warning',
    text: `Customer.io is getting through, but ${number(recent.unavailable)} got 503 in the last ${duration(RECENT_MS)}: ${deliveries}.`,
    note: 'Customer.io retries them. The reasons are below.'
  }
}

function countsOf(rows: readonly DeliveryRow[]) {
  const sum = (of: (row: DeliveryRow) => number): number => rows.reduce((total, row) => total + of(row), 0)
  return {
    authentic: sum(({ outcomes }) => authenticOf(outcomes)),
    unavailable: sum(({ outcomes }) => outcomes.unavailable ?? 0),
    refused: sum(
      ({ outcomes }) =>
        (outcomes.signature_invalid ?? 0) + (outcomes.source_forbidden ?? 0) + (outcomes.rate_limited ?? 0)
    )
  }
}
