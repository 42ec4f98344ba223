// Draws the deliveries of the last hour with uPlot, and again whenever the live page has new figures.
// Without this script, the page has the same as a picture and as a table.
const chart = document.getElementById('chart')
const live = document.getElementById('overview')
const HEIGHT = 200

/** The figures and their summary; a live update may replace the element. */
const source = () => document.getElementById('chart-data').dataset

/** A colour of the style sheet, as the present scheme has it: a variable itself has the values of both. */
function colour(name) {
  chart.style.color = `var(${name})`
  const { color } = getComputedStyle(chart)
  chart.style.color = ''
  return color
}

/** Each series is drawn over those that contain it, so that they look stacked: the sum of all comes first. */
function stacked({ from, stepSeconds, series }) {
  const times = series[0].values.map((_, index) => from + index * stepSeconds)
  const sums = series.map((_, last) =>
    times.map((_, index) => series.slice(0, last + 1).reduce((sum, { values }) => sum + values[index], 0))
  )
  return [times, ...sums.reverse()]
}

let shown = source().chart
let data = JSON.parse(shown)
let plot

function draw() {
  plot?.destroy()
  const reversed = [...data.series].reverse()
  const soft = colour('--soft')
  const axis = { stroke: soft, grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false } }
  plot = new uPlot(
    {
      width: chart.clientWidth,
      height: HEIGHT,
      padding: [10, 24, 0, 0],
      tzDate: seconds => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
      cursor: { y: false, drag: { x: false, y: false } },
      scales: {
        x: { range: () => [data.from, data.from + data.series[0].values.length * data.stepSeconds] },
        y: { range: (_plot, _min, max) => [0, Math.max(5, max * 1.05)] }
      },
      axes: [
        { ...axis, values: '{HH}:{mm}' },
        {
          ...axis,
          incrs: [
            1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000, 500000
          ]
        }
      ],
      series: [
        { label: 'Time (UTC)', value: '{HH}:{mm}' },
        ...reversed.map(({ name, label }, index) => ({
          label,
          fill: colour(`--series-${name}`),
          stroke: colour(`--series-${name}`),
          width: 0,
          points: { show: false },
          paths: uPlot.paths.bars({ size: [0.8, 100], align: 1 }),
          // The sum over all minutes where the pointer is not on one.
          value: (_plot, _value, _series, minute) => {
            const { values } = data.series[data.series.length - 1 - index]
            const count = minute === null ? values.reduce((sum, value) => sum + value, 0) : values[minute]
            return count.toLocaleString('en-US')
          }
        }))
      ]
    },
    stacked(data),
    chart
  )
}

function describe() {
  chart.setAttribute('aria-label', source().summary)
}

function update() {
  const { chart: text } = source()
  if (text === shown) return
  shown = text
  data = JSON.parse(text)
  plot.setData(stacked(data))
  describe()
}

chart.replaceChildren()
chart.setAttribute('role', 'img')
describe()
draw()
new MutationObserver(update).observe(live, {
  subtree: true,
  childList: true,
  attributes: true,
  attributeFilter: ['data-chart']
})
new ResizeObserver(() => plot.setSize({ width: chart.clientWidth, height: HEIGHT })).observe(chart)
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw)
