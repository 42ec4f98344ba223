// Puts what the compiler leaves behind (Lua scripts, JSON schemas) beside the compiled files.
// Usage: node scripts/copy-assets.mjs <folder that src was compiled into>
import { cpSync } from 'node:fs'
import { extname } from 'node:path'

const target = process.argv[2]
if (target === undefined) throw new Error('usage: copy-assets.mjs <folder>')

cpSync('src', target, {
  recursive: true,
  filter: source => extname(source) === '' || source.endsWith('.lua') || source.endsWith('.json')
})
