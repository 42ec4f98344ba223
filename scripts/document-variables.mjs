// Writes .env.example and the README's table of variables from the schema of the environment.
// Usage: document-variables.mjs [--check]      --check writes nothing and fails if something differs.
import { readFileSync, writeFileSync } from 'node:fs'
import { variables } from '../build/src/settings/variables.js'

const START = '<!-- variables: written by npm run docs:variables -->'
const END = '<!-- /variables -->'
const entries = Object.entries(variables)

function envExample() {
  const blocks = entries.map(([name, { help, allowed, fallback, secret }]) => {
    const lines = [
      `# ${help}.`,
      `# Allowed: ${allowed}.${secret ? ` Better: the path of a mounted file, in ${name}_FILE.` : ''}`
    ]
    return [...lines, `#${name}=${fallback ?? ''}`].join('\n')
  })
  return `# All settings, with their defaults. Uncomment those that you change. Empty values are refused.\n\n${blocks.join('\n\n')}\n`
}

function readmeTable() {
  const rows = entries.map(([name, { help, fallback, secret }]) => {
    const shown = fallback === undefined ? '' : `\`${fallback.replaceAll(',', ', ')}\``
    return `| \`${name}\`${secret ? ' 🔒' : ''} | ${shown} | ${help} |`
  })
  return `${START}\n\n| variable | default | what it does |\n|---|---|---|\n${rows.join('\n')}\n\n${END}`
}

function withTable(readme) {
  const start = readme.indexOf(START)
  const end = readme.indexOf(END)
  if (start === -1 || end === -1) throw new Error('README.md has no markers for the table of variables')
  return readme.slice(0, start) + readmeTable() + readme.slice(end + END.length)
}

const readme = readFileSync('README.md', 'utf8')
const wanted = { '.env.example': envExample(), 'README.md': withTable(readme) }
for (const [file, text] of Object.entries(wanted)) {
  if (!process.argv.includes('--check')) writeFileSync(file, text)
  else if (readFileSync(file, 'utf8') !== text) {
    console.error(`${file} is out of date: run npm run docs:variables`)
    process.exitCode = 1
  }
}
