// Looks for unused code and dependencies (knip), and checks both npm packages as they would be published: their
// manifest (publint) and the resolution of their types (are-the-types-wrong). A finding makes it exit with status 1.
// Usage: node scripts/packages/check.mjs
//
// The three tools need 65 MB, so they have their own package.json here and are installed on first use.
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installTools } from '../install-tools.mjs'

installTools(import.meta.dirname)
const packed = mkdtempSync(join(tmpdir(), 'packages-'))
try {
  run('knip', '--no-progress')
  // `prepack` compiles with declarations.
  const main = execFileSync('npm', ['pack', '--silent', '--pack-destination', packed], { encoding: 'utf8' })
  const consumer = execFileSync('node', ['scripts/pack-consumer.mjs', packed], { encoding: 'utf8' })
  for (const tarball of [join(packed, main.trim()), consumer.trim()]) {
    run('publint', '--strict', tarball)
    // Both packages are ES modules: `require` loads them in every supported Node, but TypeScript warns about it.
    run('attw', '--profile', 'esm-only', '--format', 'ascii', tarball)
  }
} finally {
  rmSync(packed, { recursive: true })
}

function run(tool, ...args) {
  const { status, stdout, stderr } = spawnSync(join(import.meta.dirname, 'node_modules/.bin', tool), args, {
    encoding: 'utf8'
  })
  if (status === 0) return
  process.stderr.write(stdout + stderr)
  console.error(`failed: ${tool} ${args.join(' ')}`)
  process.exitCode = 1
}
