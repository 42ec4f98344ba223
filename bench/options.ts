// npm run bench:options -- --with= --with=--max-semi-space-size=16: compares options of Node and of the service. See README.md in this folder.
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Contestant, contestants } from './contestants.ts'
import type { Load } from './load.ts'
import { machineLine } from './machine.ts'
import { spreadOf } from './results.ts'
import { type Measurement, type Running, startRunning } from './running.ts'

const { values } = parseArgs({
  options: {
    /** Options of Node and environment variables, separated by spaces; once for each service. */
    with: { type: 'string', multiple: true, default: [''] },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    /** Deliveries per second, besides the maximum. */
    rates: { type: 'string', default: '1000,3000' },
    /** Another contestant, for comparison. */
    beside: { type: 'string' }
  }
})
const CONNECTIONS = 64
const WARM_UP = { connections: CONNECTIONS, count: 20_000 }
const seconds = Number(values.seconds)
const loads: readonly Load[] = [
  { connections: CONNECTIONS, seconds },
  ...values.rates.split(',').map(rate => ({ connections: CONNECTIONS, rate: Number(rate), seconds }))
]

// All of them run at the same time and are measured in turns, so that the machine is the same for all.
const compared = [
  ...values.with.map(withOptions),
  ...contestants.filter(({ name }) => name === values.beside)
]
const measured = compared.map(() => loads.map((): Measurement[] => []))
const running: Running[] = []
try {
  for (const contestant of compared) running.push(await startRunning(contestant))
  for (const one of running) await one.measure(WARM_UP)
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [index, one] of running.entries()) {
      for (const [at, load] of loads.entries()) measured[index]?.[at]?.push(await one.measure(load))
    }
  }
} finally {
  for (const one of running) await one.stop()
}

print(machineLine())
for (const [at, { rate }] of loads.entries()) {
  print(
    `\n${rate === undefined ? 'maximum' : `${rate} deliveries/s`}; medians of the rounds (lowest-highest)`
  )
  print(row('options', ['deliveries/s', 'CPU µs', 'p50 ms', 'p99 ms', 'RSS MB', 'others']))
  for (const [index, { title }] of compared.entries()) {
    const show = (digits: number, read: (one: Measurement) => number): string => {
      const { median, low, high } = spreadOf(measured[index]?.[at], read)
      return `${median.toFixed(digits)} (${low.toFixed(digits)}-${high.toFixed(digits)})`
    }
    print(
      row(title, [
        show(0, ({ report }) => report.throughput),
        show(0, ({ serviceCpuUs }) => serviceCpuUs),
        show(1, ({ report }) => report.latencyMs.p50),
        show(1, ({ report }) => report.latencyMs.p99),
        show(0, ({ serviceRssMb }) => serviceRssMb),
        show(2, ({ foreignCpus }) => foreignCpus)
      ])
    )
  }
}

/** This service, started with these options only: without those of cio-webhook.sh. */
function withOptions(text: string): Contestant {
  const service = contestants.find(({ name }) => name === 'service')
  if (service === undefined) throw new Error('unknown contestant: service')
  const words = text.split(' ').filter(word => word !== '')
  const options = words.filter(word => word.startsWith('-'))
  const variables = words.filter(word => !word.startsWith('-')).map(word => word.split('=', 2))
  return {
    ...service,
    title: text === '' ? '(none)' : text,
    start: seat => ({
      command: process.execPath,
      args: [...options, resolve('dist/cli/main.js'), 'serve'],
      env: { ...service.start(seat).env, ...Object.fromEntries(variables) }
    })
  }
}

function row(title: string, cells: readonly string[]): string {
  return title.padEnd(56) + cells.map(cell => cell.padStart(22)).join('')
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
