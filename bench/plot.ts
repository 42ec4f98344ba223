import { type Results, spreadOf, totalCpuUs } from './results.ts'

const WIDTH = 760
const LEFT = 230
const ROW = 30
const BAR = 18
const TOP = 56
const SCALE_WIDTH = WIDTH - LEFT - 110

/** @returns an SVG bar chart of the CPU time per delivery: the process, then its Redis */
export function drawPlot({ closed, titles, machine, versions, date }: Results): string {
  const rows = Object.entries(closed).map(([name, measured]) => ({
    title: titles[name] ?? name,
    process: spreadOf(measured, ({ serviceCpuUs }) => serviceCpuUs).median,
    redis: spreadOf(measured, ({ redisCpuUs }) => redisCpuUs).median,
    total: spreadOf(measured, totalCpuUs)
  }))
  const most = Math.max(...rows.map(({ total }) => total.high), 1)
  const x = (us: number): number => Math.round((us / most) * SCALE_WIDTH)
  const height = TOP + rows.length * ROW + 40

  const bars = rows.map(({ title, process, redis, total }, index) => {
    const y = TOP + index * ROW
    const middle = y + BAR / 2
    return `
  <text x="${LEFT - 10}" y="${y + 14}" text-anchor="end">${escapeXml(title)}</text>
  <rect x="${LEFT}" y="${y}" width="${x(process)}" height="${BAR}" fill="#2f6f9f"/>
  <rect x="${LEFT + x(process)}" y="${y}" width="${x(redis)}" height="${BAR}" fill="#d9822b"/>
  <path d="M${LEFT + x(total.low)} ${middle}H${LEFT + x(total.high)}" stroke="#222" stroke-width="1.5"/>
  <text x="${LEFT + x(total.high) + 8}" y="${y + 14}">${total.median.toFixed(0)} µs</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="13">
  <title>CPU time per delivery, of each contestant and its Redis</title>
  <rect width="${WIDTH}" height="${height}" fill="#fff"/>
  <text x="${LEFT}" y="22" font-size="15">CPU time per delivery at maximum throughput, 64 connections</text>
  <rect x="${LEFT}" y="34" width="10" height="10" fill="#2f6f9f"/><text x="${LEFT + 15}" y="44">the process</text>
  <rect x="${LEFT + 110}" y="34" width="10" height="10" fill="#d9822b"/><text x="${LEFT + 125}" y="44">its Redis (line: lowest to highest round)</text>${bars.join('')}
  <text x="${LEFT}" y="${height - 12}" fill="#666">${escapeXml(`${machine.cpu}, ${machine.cores} cores, Node ${versions['node']}, ${date.slice(0, 10)}`)}</text>
</svg>
`
}

const escapeXml = (text: string): string =>
  text.replace(/[<>&"]/g, character => `&#${character.charCodeAt(0)};`)
