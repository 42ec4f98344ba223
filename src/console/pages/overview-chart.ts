import type { DeliveryRow } from '../../receive/delivery-stats.ts'
import { duration, number, table } from '../components.ts'
import { type Html, html } from '../html.ts'
import { groupCount, outcomeGroups } from './deliveries.ts'

/** What chart.js draws. It is in the page, so it needs no request of its own. */
interface ChartData {
  /** Start of the first minute, unix seconds. */
  readonly from: number
  readonly stepSeconds: number
  readonly series: readonly {
    readonly name: string
    readonly label: string
    readonly values: readonly number[]
  }[]
}

const MINUTE_SECONDS = 60
const WIDTH = 720
const HEIGHT = 150
const TABLE_MINUTES = 5

export const chartData = (rows: readonly DeliveryRow[]): ChartData => ({
  from: (rows[0]?.fromMs ?? 0) / 1000,
  stepSeconds: MINUTE_SECONDS,
  series: outcomeGroups.map(group => ({
    name: group.name,
    label: group.label,
    values: rows.map(({ outcomes }) => groupCount(group, outcomes))
  }))
})

/** The chart as a picture, for browsers without JavaScript. @param rows of the last hour, per minute */
export function chartPicture(rows: readonly DeliveryRow[]): Html {
  const counts = rows.map(({ outcomes }) => outcomeGroups.map(group => groupCount(group, outcomes)))
  const max = Math.max(1, ...counts.map(sum))
  const step = WIDTH / Math.max(1, rows.length)
  const bars = counts.flatMap((ofRow, index) =>
    ofRow.map((count, group) => {
      if (count === 0) return undefined
      const height = (count / max) * HEIGHT
      const top = HEIGHT - (sum(ofRow.slice(0, group + 1)) / max) * HEIGHT
      return html`<rect class="series-${outcomeGroups[group]?.name}" x="${round(index * step)}" y="${round(top)}" width="${round(step * 0.8)}" height="${round(height)}"/>`
    })
  )
  return html`<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${summaryOf(rows)}" preserveAspectRatio="none">${bars}</svg>
<p class="legend" aria-hidden="true">${outcomeGroups.map(({ name, label }) => html`<span class="key series-${name}">${label}</span>`)}</p>`
}

/** The chart in one sentence, for people who do not see it. */
export function summaryOf(rows: readonly DeliveryRow[]): string {
  const parts = outcomeGroups.map(group => {
    const count = sum(rows.map(({ outcomes }) => groupCount(group, outcomes)))
    return `${group.label} ${number(count)}`
  })
  return `Deliveries of the last hour by outcome: ${parts.join(', ')}. The table below has the figures.`
}

/** The same as the chart in figures, newest first. */
export function chartTable(rows: readonly DeliveryRow[]): Html {
  const spans = new Map<number, DeliveryRow[]>()
  for (const row of rows) {
    const start = Math.floor(row.fromMs / (TABLE_MINUTES * 60_000)) * TABLE_MINUTES * 60_000
    spans.set(start, [...(spans.get(start) ?? []), row])
  }
  return table(
    'Deliveries of the last hour, per five minutes',
    [
      { title: 'From (UTC)', cell: ([start]) => new Date(start).toISOString().slice(11, 16) },
      ...outcomeGroups.map(group => ({
        title: group.label,
        isNumber: true,
        cell: ([, of]: readonly [number, readonly DeliveryRow[]]) =>
          number(sum(of.map(({ outcomes }) => groupCount(group, outcomes))))
      })),
      {
        title: 'Slowest p99',
        isNumber: true,
        cell: ([, of]) => {
          const slowest = Math.max(...of.map(({ durationMs }) => durationMs?.p99 ?? Number.NEGATIVE_INFINITY))
          return Number.isFinite(slowest) ? duration(slowest) : '–'
        }
      }
    ],
    [...spans].reverse(),
    html`<p>No delivery in the last hour.</p>`
  )
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
const round = (value: number): number => Math.round(value * 10) / 10
