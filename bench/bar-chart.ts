import type { Circumstances } from './results.ts'

/** Horizontal bars on a common scale, each of several parts. */
export interface BarChart {
  readonly title: string
  /** The parts of each bar, from left to right. */
  readonly parts: readonly { readonly name: string; readonly color: string }[]
  readonly bars: readonly Bar[]
}

export interface Bar {
  readonly title: string
  /** The length of each part. */
  readonly lengths: readonly number[]
  /** The lowest and the highest round of the whole bar; drawn as a line. */
  readonly low: number
  readonly high: number
  /** The figures as text, at the end of the bar. */
  readonly label: string
}

const WIDTH = 760
const LEFT = 230
const ROW = 30
const BAR = 18
/** Space for the title and the legend of a chart, and below its bars. */
const ABOVE = 56
const BELOW = 12
const FOOTER = 28
/** The longest bar ends here; the label of a bar is beside it. */
const SCALE_WIDTH = WIDTH - LEFT - 120
const TEXT_SIZE = 13
/** The average character of a sans-serif font is about half as wide as it is high. */
const CHARACTER_WIDTH = TEXT_SIZE * 0.55

/**
 * @param title of the picture, for readers who do not see it
 * @param circumstances for the last line
 * @returns an SVG with the charts below each other
 */
export function drawCharts(
  title: string,
  charts: readonly BarChart[],
  { date, machine, versions }: Circumstances
): string {
  const footer = `${machine.cpu}, ${machine.cores} cores, Node ${versions['node']}, ${date.slice(0, 10)}`
  const tops = charts.map((_, index) =>
    charts.slice(0, index).reduce((sum, chart) => sum + heightOf(chart), 0)
  )
  const height = charts.reduce((sum, chart) => sum + heightOf(chart), FOOTER)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="sans-serif" font-size="${TEXT_SIZE}">
  <title>${escapeXml(title)}</title>
  <desc>${escapeXml(charts.map(describe).join(' '))}</desc>
  <rect width="${WIDTH}" height="${height}" fill="#fff"/>${charts.map((chart, index) => draw(chart, tops[index] ?? 0)).join('')}
  <text x="${LEFT}" y="${height - 12}" fill="#666">${escapeXml(footer)}</text>
</svg>
`
}

const heightOf = ({ bars }: BarChart): number => ABOVE + bars.length * ROW + BELOW

const describe = ({ title, bars }: BarChart): string =>
  `${title}: ${bars.map(({ title, label }) => `${title} ${label}`).join(', ')}.`

function draw({ title, parts, bars }: BarChart, top: number): string {
  const longest = Math.max(...bars.map(({ lengths, high }) => Math.max(high, sum(lengths))), 1)
  const x = (value: number): number => LEFT + Math.round((value / longest) * SCALE_WIDTH)
  const colors = parts.map(({ color }) => color)
  const hasLines = bars.some(({ low, high }) => low < high)
  const legend = parts.map(({ name, color }, index) =>
    hasLines && index === parts.length - 1
      ? { name: `${name} (line: lowest to highest round)`, color }
      : { name, color }
  )
  return `
  <text x="${LEFT}" y="${top + 22}" font-size="15">${escapeXml(title)}</text>
  ${drawLegend(legend, top + 34)}${bars.map((bar, index) => drawBar(bar, colors, top + ABOVE + index * ROW, x)).join('')}`
}

function drawLegend(entries: BarChart['parts'], y: number): string {
  let left = LEFT
  return entries
    .map(({ name, color }) => {
      const entry = `<rect x="${left}" y="${y}" width="10" height="10" fill="${color}"/><text x="${left + 15}" y="${y + 10}">${escapeXml(name)}</text>`
      left += Math.round(name.length * CHARACTER_WIDTH) + 30
      return entry
    })
    .join('\n  ')
}

function drawBar(
  { title, lengths, low, high, label }: Bar,
  colors: readonly string[],
  y: number,
  x: (value: number) => number
): string {
  const middle = y + BAR / 2
  const rects = lengths.map((length, index) => {
    const start = sum(lengths.slice(0, index))
    return `
  <rect x="${x(start)}" y="${y}" width="${x(start + length) - x(start)}" height="${BAR}" fill="${colors[index]}"/>`
  })
  return `
  <text x="${LEFT - 10}" y="${y + 14}" text-anchor="end">${escapeXml(title)}</text>${rects.join('')}
  <path d="M${x(low)} ${middle}H${x(high)}" stroke="#222" stroke-width="1.5"/>
  <text x="${Math.max(x(high), x(sum(lengths))) + 8}" y="${y + 14}">${escapeXml(label)}</text>`
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)

const escapeXml = (text: string): string =>
  text.replace(/[<>&"]/g, character => `&#${character.charCodeAt(0)};`)
