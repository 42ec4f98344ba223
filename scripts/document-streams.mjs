// Writes the files of examples/ into docs/streams.md: each into the code block after `<!-- examples/… -->`.
// Usage: node scripts/document-streams.mjs [--check]
//
// With --check, nothing is written, and the exit status is 1 if the page differs from the files.
import { readFileSync, writeFileSync } from 'node:fs'

const PAGE = 'docs/streams.md'
const BLOCK = /(<!-- (examples\/\S+) -->\n\n```\w+\n)[\s\S]*?(```\n)/g

const page = readFileSync(PAGE, 'utf8')
const written = page.replace(BLOCK, (_, start, path, end) => start + readFileSync(path, 'utf8') + end)

if (!process.argv.includes('--check')) writeFileSync(PAGE, written)
else if (written !== page) {
  process.stderr.write(`${PAGE} differs from examples/: npm run docs:streams\n`)
  process.exitCode = 1
}
