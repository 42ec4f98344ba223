import { readFileSync } from 'node:fs'
import t from 'tap'
import { faults } from './faults/all.ts'
import { PAGE, readSection } from './section.ts'

t.test('the runbook has the seconds of each fault that is tested, and of no other', async t => {
  const [, table = ''] = readFileSync(PAGE, 'utf8').split('<!-- faults: written by npm run docs:runbook -->')
  const rows = [...table.matchAll(/^\| (.+?) \| \[(\w+)\]\(#\w+\) \|/gm)].map(([, name, section]) => [
    name,
    section
  ])
  t.same(
    rows,
    faults.map(({ name, section }) => [name, section])
  )
})

t.test(
  'each fault has a section with commands, and each section of a fault is read in two parts',
  async t => {
    for (const { section } of faults) t.ok(readSection(section), section)
  }
)
