import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Finding } from '../../../src/tools/leaks/finding.ts'
import { searchPath } from '../../../src/tools/leaks/search.ts'
import { generateRepository } from '../../fixtures/generated-repository.ts'
import { startConfiguredSearch, startSearch } from '../../fixtures/leak-search.ts'
import { plantDecoys, plantLeaks } from '../../fixtures/planted-leaks.ts'
import { temporaryFolder } from '../../helpers/server.ts'

const OPTIONS = { env: process.env, ignored: false, incomplete: false }

const short = ({
  rule,
  place,
  file,
  encoding
}: Pick<Finding, 'rule' | 'place' | 'file' | 'encoding'>): string =>
  `${place} ${JSON.stringify(file)} ${rule} ${encoding}`

t.test(
  'in a repository with leaks in every place and form, and decoys, the leaks are found and nothing else',
  async t => {
    const planted = plantLeaks()
    const decoys = plantDecoys(planted, 2)
    const { folder, unreachable } = await generateRepository(
      join(temporaryFolder(), 'made'),
      120,
      planted,
      decoys
    )
    const search = await startConfiguredSearch(planted.env)
    await searchPath(search, folder, OPTIONS)

    const expected = planted.expected.map(leak =>
      leak.place === 'unreachable object' ? { ...leak, file: `blob ${unreachable}` } : leak
    )
    const found = search.found()
    t.strictSame(found.map(short).sort(), expected.map(short).sort())
    for (const { line, ...leak } of expected) {
      if (line === undefined) continue
      t.ok(
        found.some(finding => short(finding) === short(leak) && finding.line === line),
        `line ${line} of ${leak.file}`
      )
    }
    t.strictSame(search.problems, [])
    t.strictSame(
      planted.values.filter(value => JSON.stringify(found).includes(value)),
      [],
      'no value is shown'
    )

    const at = (file: string): Finding | undefined => found.find(finding => finding.file === file)
    t.match(
      at('old/config.yaml'),
      { inWorkingTree: false, commit: { oid: /^[0-9a-f]{40}$/ } },
      'a deleted file'
    )
    t.match(at('deploy/.env.production'), { inWorkingTree: true, times: 1 }, 'in the history and still there')
    t.match(
      at('scratch/untracked.txt'),
      { inWorkingTree: true, commit: undefined, times: 1 },
      'never committed'
    )
  }
)

t.test('a value that is in many commits is reported with the oldest', async t => {
  const planted = plantLeaks()
  const none = { ...planted, files: [], commitMessages: [], tags: [] }
  const key = planted.env['CIO_WEBHOOK_SECRET'] ?? ''
  const { folder, git } = await generateRepository(join(temporaryFolder(), 'made'), 3, none, [])
  const commits = [1, 2, 3].map(version => {
    writeFileSync(join(folder, 'kept.txt'), `${`version ${version}\n`.repeat(version)}${key}\n`)
    git('add', 'kept.txt')
    git('commit', '-q', '-m', `version ${version}`)
    return git('rev-parse', 'HEAD').trim()
  })
  git('rm', '-q', 'kept.txt')
  const search = startSearch(planted.env)
  await searchPath(search, folder, OPTIONS)
  t.match(search.found(), [
    { file: 'kept.txt', line: 2, commit: { oid: commits[0] }, times: 3, inWorkingTree: false }
  ])
})
