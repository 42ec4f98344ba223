import t from 'tap'
import { drawCharts } from '../../bench/bar-chart.ts'

const chart = {
  title: 'Time',
  parts: [
    { name: 'process', color: '#111' },
    { name: 'Redis', color: '#222' }
  ],
  bars: [
    { title: 'A & B', lengths: [30, 10], low: 35, high: 50, label: '40 µs' },
    { title: 'C', lengths: [100, 0], low: 100, high: 100, label: '100 µs' }
  ]
}
const circumstances = {
  date: '2026-11-27T10:00:00.000Z',
  machine: { cpu: 'Intel', cores: 2, memoryGb: 4, kernel: '6', load: [] },
  versions: { node: '24.21.0' }
}
const svg = drawCharts('Times', [chart, { ...chart, title: 'Again' }], circumstances)

t.test('the parts of a bar stand side by side, on the scale of the longest bar', async t => {
  const bars = [...svg.matchAll(/<rect x="(\d+)" y="(\d+)" width="(\d+)" height="18"/g)]
  t.strictSame(
    bars.slice(0, 4).map(([, x, y, width]) => [x, y, width].map(Number)),
    [
      [230, 56, 123],
      [353, 56, 41],
      [230, 86, 410],
      [640, 86, 0]
    ]
  )
  t.match(svg, 'd="M374 65H435"', 'lowest to highest round')
  t.match(svg, '>Redis (line: lowest to highest round)</text>')
})

t.test('charts stand below each other, and the picture ends below its last line', async t => {
  const bars = [...svg.matchAll(/ y="(\d+)" width="\d+" height="18"/g)].map(([, y]) => Number(y))
  t.strictSame([...new Set(bars)], [56, 86, 184, 214])
  t.match(svg, 'viewBox="0 0 760 284"')
  t.match(svg, 'y="272" fill="#666">Intel, 2 cores, Node 24.21.0, 2026-11-27</text>')
})

t.test('the picture describes itself in words, with texts escaped', async t => {
  t.match(svg, '<title>Times</title>')
  t.match(svg, '<desc>Time: A &#38; B 40 µs, C 100 µs. Again: A &#38; B 40 µs, C 100 µs.</desc>')
  t.notMatch(svg, 'A & B')
})

t.test('with one round there are no lines to explain', async t => {
  const bars = [{ title: 'A', lengths: [1, 1], low: 2, high: 2, label: '2 µs' }]
  t.notMatch(drawCharts('Times', [{ ...chart, bars }], circumstances), 'lowest')
})
