// What actionlint (`npm run lint:workflows`) does not check.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'

interface Job {
  readonly permissions?: Readonly<Record<string, string>>
  readonly 'timeout-minutes'?: number
}

const FOLDER = '.github/workflows'
/** What a job may write, with the reason beside it in the workflow. Everything else is read, or nothing. */
const WRITES: Readonly<Record<string, readonly string[]>> = {
  'facts.yml': ['compare issues'],
  'codeql.yml': ['analyze security-events'],
  'release.yml': ['npm id-token', 'npm attestations', 'image packages', 'image id-token', 'release contents'],
  'scorecard.yml': ['analyze security-events', 'analyze id-token']
}

const workflows = readdirSync(FOLDER).map(name => {
  const text = readFileSync(join(FOLDER, name), 'utf8')
  const { permissions, jobs } = parse(text) as {
    readonly permissions?: Readonly<Record<string, string>>
    readonly jobs: Readonly<Record<string, Job>>
  }
  return { name, text, permissions, jobs: Object.entries(jobs) }
})

t.test('every action is pinned to a commit, with its version beside it', async t => {
  for (const { name, text } of workflows) {
    const uses = text.match(/^.*\buses:.*$/gm) ?? []
    t.ok(uses.length > 0, name)
    t.same(
      uses.filter(line => !/uses: [\w.-]+\/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/.test(line)),
      [],
      name
    )
  }
})

t.test('an action has the same commit everywhere', async t => {
  const pins = workflows.flatMap(
    ({ text }) => text.match(/[\w.-]+\/[\w.-]+(?:\/[\w.-]+)?@[0-9a-f]{40} # v.*$/gm) ?? []
  )
  const byRepository = new Map<string, Set<string>>()
  for (const pin of pins) {
    const repository = pin.split('/', 2).join('/').replace(/@.*/, '')
    byRepository.set(repository, (byRepository.get(repository) ?? new Set()).add(pin.replace(/^.*@/, '')))
  }
  t.same(
    [...byRepository].filter(([, commits]) => commits.size > 1),
    []
  )
})

t.test('jobs may write only what they need, and end', async t => {
  for (const { name, permissions, jobs } of workflows) {
    t.notMatch(
      Object.values(permissions ?? { all: 'write' }),
      ['write'],
      `${name} grants nothing to all its jobs`
    )
    const writes = jobs.flatMap(([job, { permissions = {} }]) =>
      Object.entries(permissions).flatMap(([what, access]) => (access === 'write' ? [`${job} ${what}`] : []))
    )
    t.same(writes, WRITES[name] ?? [], name)
    for (const [job, { 'timeout-minutes': minutes }] of jobs) t.ok(minutes, `${name}: ${job} has a timeout`)
  }
})

t.test('a release is built on the base that the Dockerfile names', async t => {
  const [, base = ''] = /^ARG BASE=(.+)$/m.exec(readFileSync('Dockerfile', 'utf8')) ?? []
  t.match(base, /^docker\.io\/library\/node:/)
  t.match(readFileSync(join(FOLDER, 'release.yml'), 'utf8'), `\n  BASE: ${base}\n`)
})
