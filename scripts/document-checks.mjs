// Writes the table of the doctor's checks in docs/doctor.md, from the checks themselves.
// Usage: document-checks.mjs
import { readFileSync, writeFileSync } from 'node:fs'
import { allChecks } from '../build/src/tools/doctor/run-checks.js'

const PAGE = 'docs/doctor.md'
const START = '<!-- checks: written by npm run docs:checks -->'
const END = '<!-- /checks -->'

const rows = allChecks().map(
  ({ id, title, sends, needs }) =>
    `| \`${id}\` | ${title} | ${escapeTags(sends)} | ${needs === 'anyone' ? 'yes' : ''} |`
)
const table = ['| check | what must hold | what is sent | read-only |', '|---|---|---|---|', ...rows].join(
  '\n'
)
const [before, rest = ''] = readFileSync(PAGE, 'utf8').split(START)
const [, after] = rest.split(END)
if (after === undefined) throw new Error(`${PAGE} has no markers for the table of checks`)
writeFileSync(PAGE, `${before}${START}\n\n${table}\n\n${END}${after}`)

function escapeTags(text) {
  return text.replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
