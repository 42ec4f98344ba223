// Tested by test/tools/reconcile/reconcile.slow.test.ts.
import { z } from 'zod'

/** Per object type, metric, campaign or hour: how many were checked, and how many of these are missing. */
const rowsSchema = z.record(z.string(), z.object({ checked: z.number(), missing: z.number() }))
const countsSchema = z.record(z.string(), z.number())

export const reportSchema = z.object({
  messages: z.number(),
  /** Metrics of these messages: each is an event that must be in the log. */
  checked: z.number(),
  found: z.number(),
  missing: z.number(),
  /** Not in the log, and possibly still in the queue at Customer.io. Not missing yet. */
  waiting: z.number(),
  /** When the oldest message of these was created, in Unix seconds. */
  waitingSince: z.number().optional(),
  /** Missing ones that were appended. */
  filled: z.number(),
  /** Missing ones that arrived before they were appended. */
  arrived: z.number(),
  byObjectType: rowsSchema,
  byMetric: rowsSchema,
  byCampaign: rowsSchema,
  /** UTC, such as `2026-11-24T09`. */
  byHour: rowsSchema,
  /** What could not be checked, and how many metrics that were. */
  notChecked: z.object({
    /** From before the message index was complete. */
    beforeIndex: z.number(),
    /** Event types that the webhook does not ask for, such as `email_sent`. */
    notInWebhook: countsSchema,
    /** Metrics without a time or without an event of their own, by name. */
    otherMetrics: countsSchema,
    /** Items of the list that are not messages. */
    unreadable: z.number()
  })
})

/** The result of a comparison. Contains no personal data. */
export type Report = z.infer<typeof reportSchema>
type Rows = z.infer<typeof rowsSchema>
type Counts = z.infer<typeof countsSchema>

/** Names come from Customer.io. Beyond this number they are counted as `other`. */
const MAX_ROWS = 1000
/** 181 days. */
const MAX_HOURS = 181 * 24

export const emptyReport = (): Report => ({
  messages: 0,
  checked: 0,
  found: 0,
  missing: 0,
  waiting: 0,
  filled: 0,
  arrived: 0,
  byObjectType: {},
  byMetric: {},
  byCampaign: {},
  byHour: {},
  notChecked: { beforeIndex: 0, notInWebhook: {}, otherMetrics: {}, unreadable: 0 }
})

interface Checked {
  readonly objectType: string
  readonly metric: string
  readonly campaign: string
  /** Unix seconds. */
  readonly atSeconds: number
}

/** Counts a metric that was looked up. */
export function addResult(report: Report, of: Checked, result: 'found' | 'missing' | 'waiting'): void {
  report[result]++
  if (result === 'waiting') return
  report.checked++
  const hour = new Date(of.atSeconds * 1000).toISOString().slice(0, 13)
  addRow(report.byObjectType, of.objectType, result, MAX_ROWS)
  addRow(report.byMetric, of.metric, result, MAX_ROWS)
  addRow(report.byCampaign, of.campaign, result, MAX_ROWS)
  addRow(report.byHour, hour, result, MAX_HOURS)
}

function addRow(rows: Rows, name: string, result: 'found' | 'missing', max: number): void {
  const key = Object.hasOwn(rows, name) || Object.keys(rows).length < max ? name : 'other'
  const { checked, missing } = ownValue(rows, key) ?? { checked: 0, missing: 0 }
  rows[key] = { checked: checked + 1, missing: missing + (result === 'missing' ? 1 : 0) }
}

export function addCount(counts: Counts, name: string): void {
  const key = Object.hasOwn(counts, name) || Object.keys(counts).length < MAX_ROWS ? name : 'other'
  counts[key] = (ownValue(counts, key) ?? 0) + 1
}

/** A metric can be named `constructor`. */
const ownValue = <Value>(record: Readonly<Record<string, Value>>, key: string): Value | undefined =>
  Object.hasOwn(record, key) ? record[key] : undefined
