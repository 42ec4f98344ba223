// Compares the tables in the code with Customer.io's published API descriptions, and prints the differences.
// Usage: npm run facts -- [--json] FILE...     exit status 1: differences; 2: a file cannot be read
//
// The descriptions belong to Customer.io, so no copy is in this repository: CONTRIBUTING.md says where they are.
// A difference that was looked at, and is right as it is, goes into scripts/facts/known.mjs with its reason.
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { codeFacts } from './facts/code.mjs'
import { compareFacts } from './facts/compare.mjs'
import { known } from './facts/known.mjs'
import { publishedFacts } from './facts/published.mjs'

const { values, positionals } = parseArgs({ allowPositionals: true, options: { json: { type: 'boolean' } } })
if (positionals.length === 0) stop('usage: npm run facts -- [--json] FILE...')

const descriptions = positionals.map(read)
const code = codeFacts()
const found = descriptions.flatMap(published => compareFacts(code, published))
const judged = found.map(difference => ({ ...difference, reason: reasonFor(difference.subject) }))
const differences = judged.filter(({ reason }) => reason === undefined)
const accepted = judged.filter(({ reason }) => reason !== undefined)
if (values.json) {
  console.log(JSON.stringify({ differences, known: accepted }, null, 2))
} else {
  for (const { subject, problem, place } of differences) console.log(`${subject}: ${problem} (${place})`)
  console.log(
    `${count(differences.length, 'difference')}, ${accepted.length} known ones (scripts/facts/known.mjs)`
  )
}
process.exitCode = differences.length > 0 ? 1 : 0

function read(file) {
  try {
    return publishedFacts(JSON.parse(readFileSync(file, 'utf8')))
  } catch (error) {
    return stop(`${file} is not a description of Customer.io's webhooks or App API: ${error.message}`)
  }
}

/** Why a difference is right as it is; `undefined` if nobody has looked at it. */
function reasonFor(subject) {
  const matches = glob => new RegExp(`^${glob.split('*').map(escaped).join('.*')}$`).test(subject)
  return known.find(({ subjects }) => subjects.some(matches))?.reason
}

function escaped(text) {
  return text.replace(/[.[\]]/g, '\\$&')
}

function count(number, noun) {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function stop(message) {
  console.error(message)
  process.exit(2)
}
