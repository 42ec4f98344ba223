import { spawnSync } from 'node:child_process'
import t from 'tap'

t.test('.env.example, the README’s table and the schema say the same', async t => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/document-variables.mjs', '--check'], {
    encoding: 'utf8'
  })
  t.equal(stderr, '')
  t.equal(status, 0)
})
