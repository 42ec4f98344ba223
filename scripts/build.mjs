// Compiles TypeScript, if what is compiled is not of these sources.
// Usage: node scripts/build.mjs dist|build [--types]
//
// dist is what runs and what is published, build is that and the tests. Types are not checked here (`npm run types`
// does, in a third of the time it takes to do both each time), unless --types asks for it and for declarations.
//
// Contents are compared, not times: a branch that was switched, a clock that was set, a file that was deleted, and a
// build that was broken off are all noticed.
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
/** What else decides about the output. */
const settings = [
  ...['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'],
  ...['scripts/build.mjs', 'scripts/copy-assets.mjs', 'node_modules/typescript/package.json']
]

const SOURCE = /\.(ts|lua|json)$/
const OUTPUT = /\.(js|map|d\.ts|lua|json)$/
/** Written by benchmarks, read by nobody here. */
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
  // Before the compiler reads them: what changes while it runs must count as changed.
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

/** Removes what was compiled from a file that is gone: a test would still be run, a command still be found. */
function removeOrphans(from, to) {
  for (const file of filesIn(to, OUTPUT)) {
    const source = join(from, relative(to, file)).replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts')
    if (!existsSync(source)) rmSync(file)
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
