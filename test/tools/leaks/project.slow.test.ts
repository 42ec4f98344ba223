import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { readBaseline, triageFindings } from '../../../src/tools/leaks/baseline.ts'
import { searchPath } from '../../../src/tools/leaks/search.ts'
import { startSearch } from '../../fixtures/leak-search.ts'

const root = join(dirname(fileURLToPath(import.meta.url)), '../../../..')

t.test('this project contains no key, and every entry of its baseline matches a finding', async t => {
  const search = startSearch({})
  await searchPath(search, root, { env: process.env, ignored: false, incomplete: true })
  const { fresh, stale } = triageFindings(search.found(), readBaseline(join(root, '.leaks-baseline.json')))
  t.strictSame([fresh, stale, search.problems], [[], [], []])
})
