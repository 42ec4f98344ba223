import { spawnSync } from 'node:child_process'
import t from 'tap'

t.test('docs/logging.md explains every message that src/ logs, and no other', async t => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/document-logging.mjs', '--check'], {
    encoding: 'utf8'
  })
  t.equal(stderr, '')
  t.equal(status, 0)
})
