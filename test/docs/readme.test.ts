import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startServiceProcess } from '../helpers/process.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

t.test('.env.example, the README’s table and the schema say the same', async t => {
  const { status, stderr } = spawnSync(process.execPath, ['scripts/document-variables.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8'
  })
  t.equal(stderr, '')
  t.equal(status, 0)
})

t.test('the check by hand works as the README has it', async t => {
  const readme = readFileSync(`${root}/README.md`, 'utf8')
  const section = readme.slice(readme.indexOf('## Check it by hand'), readme.indexOf('## What comes out'))
  const blocks = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(match => match[1] ?? '')
  t.equal(blocks.length, 3)
  t.match(section, 'export CIO_WEBHOOK_SECRET=check-me')

  const service = await startServiceProcess({ CIO_WEBHOOK_SECRET: 'check-me' })
  t.teardown(() => service.process.kill('SIGTERM'))
  const script = blocks.join('\n').replaceAll('localhost:3000', `127.0.0.1:${service.port}`)
  const { stdout } = spawnSync('bash', ['-c', script], {
    env: { PATH: process.env['PATH'], CIO_WEBHOOK_SECRET: 'check-me' },
    encoding: 'utf8'
  })
  t.same(stdout.match(/HTTP \d+/g), ['HTTP 401', 'HTTP 200', 'HTTP 200'])
})
