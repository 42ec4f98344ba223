// Copies the files of src that are not compiled (Lua scripts, JSON schemas, CSS, SVG, scripts of browsers and of the shell) to the compiled files.
// Usage: node scripts/copy-assets.mjs <output folder of src>
import { cpSync } from 'node:fs'
import { extname } from 'node:path'

const target = process.argv[2]
if (target === undefined) throw new Error('usage: copy-assets.mjs <folder>')

cpSync('src', target, {
  recursive: true,
  filter: source => ['', '.lua', '.json', '.css', '.svg', '.js', '.sh'].includes(extname(source))
})
