import t from 'tap'
import { outcomeGroups } from '../../../src/console/pages/deliveries.ts'
import { chartData, chartPicture, chartTable, summaryOf } from '../../../src/console/pages/overview-chart.ts'
import { deliveryOutcomes } from '../../../src/ops/outcomes.ts'

const START = Date.parse('2026-11-27T12:00:00Z')
const row = (minute: number, outcomes = {}, p99?: number) => ({
  fromMs: START + minute * 60_000,
  outcomes,
  durationMs: p99 === undefined ? undefined : { p50: 1, p99 }
})
const rows = [
  row(0, { accepted: 6, duplicate: 2 }, 20),
  row(1, { unavailable: 1, signature_invalid: 2, aborted: 1 }, 30),
  row(6)
]

t.test('every outcome is in one group', async t => {
  t.same(
    outcomeGroups.flatMap(({ outcomes }) => outcomes as readonly string[]).sort(),
    [...deliveryOutcomes].sort()
  )
})

t.test('the data has one value per minute and group', async t => {
  const { from, series } = chartData(rows)
  t.equal(from, START / 1000)
  t.same(
    series.map(({ name, values }) => [name, ...values]),
    [
      ['accepted', 6, 0, 0],
      ['duplicate', 2, 0, 0],
      ['parked', 0, 0, 0],
      ['refused', 0, 3, 0],
      ['unavailable', 0, 1, 0]
    ]
  )
})

t.test('the picture stacks the groups, and its name has the sums', async t => {
  const { text } = chartPicture(rows)
  const bars = [
    ...text.matchAll(/<rect class="series-(\w+)" x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"/g)
  ]
  t.same(
    bars.map(([, name, top, height]) => [name, Number(top), Number(height)]),
    [
      ['accepted', 37.5, 112.5],
      ['duplicate', 0, 37.5],
      ['refused', 93.8, 56.3],
      ['unavailable', 75, 18.8]
    ]
  )
  t.match(summaryOf(rows), /Accepted 6, Duplicate 2, Parked 0, Refused 3, 503 1\./)
})

t.test('the table has five minutes per row, newest first, with the slowest p99', async t => {
  const cells = [...chartTable(rows).text.matchAll(/<td[^>]*>([^<]*)</g)].map(([, text]) => text)
  t.same(cells, ['12:05', '0', '0', '0', '0', '0', '–', '12:00', '6', '2', '0', '3', '1', '30 ms'])
})

t.test('without rows, the picture and the table are empty', async t => {
  t.notMatch(chartPicture([]).text, /<rect/)
  t.match(chartTable([]).text, /No delivery/)
})
