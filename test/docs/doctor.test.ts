import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { allChecks } from '../../src/tools/doctor/run-checks.ts'

const page = readFileSync(fileURLToPath(new URL('../../../docs/doctor.md', import.meta.url)), 'utf8')

t.test('the page has a row for each check, in their order, and for no other', async t => {
  const rows = [...page.matchAll(/^\| `([a-z0-9-]+)` \| (.+?) \| (.+?) \| (yes)? ?\|$/gm)]
  t.same(
    rows.map(([, id, title, sends = '', readOnly]) => ({
      id,
      title,
      sends: sends.replaceAll('&lt;', '<').replaceAll('&gt;', '>'),
      readOnly: readOnly === 'yes'
    })),
    allChecks().map(({ id, title, sends, needs }) => ({ id, title, sends, readOnly: needs === 'anyone' }))
  )
})
