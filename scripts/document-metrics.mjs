// Writes the table of metrics in docs/metrics.md, from the table in src/ops/metric-table.ts.
// Usage: document-metrics.mjs [--check]      --check writes nothing and fails if something differs.
import { readFileSync, writeFileSync } from 'node:fs'
import { metricTable } from '../build/src/ops/metric-table.js'

const PAGE = 'docs/metrics.md'
const START = '<!-- metrics: written by npm run docs:metrics -->'
const END = '<!-- /metrics -->'

const rows = Object.entries(metricTable).map(
  ([name, { kind, help, labels, matters }]) =>
    `| \`${name}\` | ${kind} | ${labelsText(labels)} | ${help} | ${matters} |`
)
const table = [
  '| metric | type | labels | meaning | look at it when |',
  '|---|---|---|---|---|',
  ...rows
].join('\n')

const page = readFileSync(PAGE, 'utf8')
const [before, rest = ''] = page.split(START)
const [, after] = rest.split(END)
if (after === undefined) throw new Error(`${PAGE} has no markers for the table of metrics`)
const wanted = `${before}${START}\n\n${table}\n\n${END}${after}`
if (!process.argv.includes('--check')) writeFileSync(PAGE, wanted)
else if (page !== wanted) {
  console.error(`${PAGE} is out of date: run npm run docs:metrics`)
  process.exitCode = 1
}

function labelsText(labels) {
  return Object.entries(labels)
    .map(([label, values]) => {
      const closed = Array.isArray(values) ? ` (${values.map(value => `\`${value}\``).join(', ')})` : ''
      return `\`${label}\`${closed}`
    })
    .join('; ')
}
