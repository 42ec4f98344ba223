import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const root = fileURLToPath(new URL('../../..', import.meta.url))

t.test('the programs of docs/streams.md are those of examples/', async t => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/document-streams.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8'
  })
  t.equal(stderr, '')
  t.equal(status, 0)
})

t.test('the command for a secret prints one that CONSUMERS_FILE takes', async t => {
  const page = readFileSync(`${root}/docs/streams.md`, 'utf8')
  const command = /```sh\n(echo "whsec_.*)\n```/.exec(page)?.[1] ?? ''
  const { stdout } = spawnSync('sh', ['-c', command], { encoding: 'utf8' })
  t.match(stdout, /^whsec_[A-Za-z0-9+/]{43}=\n$/)
})
