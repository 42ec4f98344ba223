// Compiles the TypeScript sources, unless the output is up to date.
// Usage: node scripts/build.mjs dist|build [--types]
//
// dist is the published program; build also has the tests. Types are not checked, because `npm run types` does that in
// a third of the time. With --types, types are checked and declarations are written.
//
// The output is compared with the sources by content, not by time. This notices a switched branch, a changed clock, a
// deleted file and an interrupted build.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'

const targets = {
  dist: { project: 'tsconfig.build.json', folders: { src: 'dist' } },
  build: {
    project: 'tsconfig.json',
    folders: { src: 'build/src', test: 'build/test', bench: 'build/bench', examples: 'build/examples' }
  }
}
/** Other files that the output depends on. */
const settings = [
  ...['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'],
  ...['scripts/build.mjs', 'scripts/copy-assets.mjs', 'node_modules/typescript/package.json']
]

const SOURCE = /\.(ts|js|lua|json|css|svg|sh)$/
const OUTPUT = /\.(js|map|d\.ts|lua|json|css|svg|sh)$/
/** Written by benchmarks, not compiled. */
const RESULTS = 'bench/results/'

const [name, ...options] = process.argv.slice(2)
const target = targets[name]
if (target === undefined) throw new Error('usage: build.mjs dist|build [--types]')
const types = options.includes('--types')
const stampFile = `build/${name}.built.json`
const folders = Object.entries(target.folders)

if (!isUpToDate()) build()

function isUpToDate() {
  const stamp = existsSync(stampFile) ? parsed(readFileSync(stampFile, 'utf8')) : undefined
  return stamp?.sources === digestOfSources() && stamp.output === digestOfOutput() && (stamp.types || !types)
}

function parsed(text) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function build() {
  rmSync(stampFile, { force: true })
  mkdirSync('build', { recursive: true })
  // Taken before the compiler runs, so that a change during the run is noticed next time.
  const sources = digestOfSources()
  run('node_modules/typescript/bin/tsc', [
    ...['-p', target.project, '--incremental', 'false'],
    ...(types ? [] : ['--noCheck', '--declaration', 'false'])
  ])
  run('scripts/copy-assets.mjs', [target.folders.src])
  for (const [from, to] of folders) removeOrphans(from, to)
  writeFileSync(stampFile, JSON.stringify({ sources, output: digestOfOutput(), types }))
}

function run(script, args) {
  const { status } = spawnSync(process.execPath, [script, ...args], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

/** Removes the output of deleted sources: otherwise a deleted test would still run. */
function removeOrphans(from, to) {
  for (const file of filesIn(to, OUTPUT)) {
    const copied = join(from, relative(to, file))
    const compiled = copied.replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts')
    if (!existsSync(copied) && !existsSync(compiled)) rmSync(file)
  }
}

function digestOfSources() {
  return digest([...settings, ...folders.flatMap(([from]) => filesIn(from, SOURCE))])
}

function digestOfOutput() {
  return digest(folders.flatMap(([, to]) => filesIn(to, OUTPUT)))
}

function digest(files) {
  const hash = createHash('sha256')
  for (const file of files.sort()) {
    const content = readFileSync(file)
    hash.update(`${file}\0${content.length}\0`).update(content)
  }
  return hash.digest('hex')
}

function filesIn(folder, pattern) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { recursive: true })
    .map(file => join(folder, file))
    .filter(file => pattern.test(file) && !file.startsWith(RESULTS) && statSync(file).isFile())
}
