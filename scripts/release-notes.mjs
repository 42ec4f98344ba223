// Prints the section of CHANGELOG.md about a version, without its heading. Fails if it is missing or empty.
// Usage: node scripts/release-notes.mjs VERSION      a heading is "## 1.2.3" or "## 1.2.3 (2026-12-01)"
import { readFileSync } from 'node:fs'

const [version] = process.argv.slice(2)
if (version === undefined) throw new Error('usage: release-notes.mjs VERSION')

const sections = readFileSync('CHANGELOG.md', 'utf8').split(/^## /m).slice(1)
const section = sections.find(text => text.split(/\s/, 1)[0] === version)
const notes = section?.slice(section.indexOf('\n')).trim() ?? ''
if (notes === '') {
  const found = section === undefined ? `has no section "## ${version}"` : `has nothing below "## ${version}"`
  console.error(`CHANGELOG.md ${found}: rename "## Unreleased", or describe what has changed`)
  process.exit(1)
}
console.log(notes)
