// Writes the JSON Schema of CONSUMERS_FILE from the schema that the service uses.
// Usage: document-consumers.mjs [--check]      --check writes nothing and fails if something differs.
import { readFileSync, writeFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { consumersJsonSchema } from '../build/src/settings/consumers-file.js'

const path = 'docs/consumers.schema.json'
const wanted = consumersJsonSchema()

if (process.argv[2] !== '--check') {
  writeFileSync(path, `${JSON.stringify(wanted, null, 2)}\n`)
} else if (!isDeepStrictEqual(JSON.parse(readFileSync(path, 'utf8')), wanted)) {
  console.error(`${path} is out of date: run npm run docs:consumers`)
  process.exitCode = 1
}
