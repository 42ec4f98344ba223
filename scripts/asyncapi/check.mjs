// Checks an AsyncAPI document with the AsyncAPI parser. An error or a warning makes it exit with status 1.
// Usage: node scripts/asyncapi/check.mjs docs/asyncapi.yaml
//
// The parser needs more than 160 packages, and the install script of one of them reports to a third party. That is
// why it has its own package.json here, is installed on first use, and runs no install scripts.
import { readFileSync } from 'node:fs'
import { installTools } from '../install-tools.mjs'

const [file] = process.argv.slice(2)
if (file === undefined) throw new Error('usage: check.mjs FILE')

installTools(import.meta.dirname)
const { DiagnosticSeverity, Parser } = await import('@asyncapi/parser')
const { diagnostics } = await new Parser().parse(readFileSync(file, 'utf8'), { source: file })
// Below a warning is only the advice to use AsyncAPI 3.1, which many tools cannot read yet.
const problems = diagnostics.filter(({ severity }) => severity <= DiagnosticSeverity.Warning)
for (const { message, path, range } of problems) {
  console.error(`${file}:${range.start.line + 1}: ${message} (at ${path.join('.')})`)
}
if (problems.length === 0) console.log(`${file}: valid`)
else process.exitCode = 1
