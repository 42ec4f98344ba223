import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runCommand, startServiceProcess } from '../helpers/process.ts'
import { freePort, until } from '../helpers/server.ts'

t.setTimeout(600_000)

const root = fileURLToPath(new URL('../../..', import.meta.url))
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const readme = readFileSync(`${root}/README.md`, 'utf8')

/** The shell blocks between a heading and the next one. */
function shellBlocks(heading: string): readonly string[] {
  const [, section = ''] = readme.split(`\n${heading}\n`)
  const [text = ''] = section.split(/^#+ /m)
  return [...text.matchAll(/```sh\n([\s\S]*?)```/g)].map(match => match[1] ?? '')
}

t.test('the quick start ends with a first event', async t => {
  const [start, event = '', ...others] = shellBlocks('## Quick start')
  t.equal(start, 'npm ci && npm start\n')
  t.same(others, [])

  // What `npm start` runs, without a key and without a Redis.
  const port = String(await freePort())
  const service = runCommand(['serve'], { PORT: port, HOST: '127.0.0.1' })
  t.teardown(async () => {
    service.process.kill('SIGTERM')
    await service.ended
  })
  await until('the service', () =>
    fetch(`http://127.0.0.1:${port}/readyz`).then(
      answer => answer.ok,
      () => false
    )
  )
  const script = event.replaceAll('npx cio-webhook', `"${process.execPath}" "${MAIN}"`)
  const { stdout, status } = spawnSync('sh', ['-e', '-c', script], {
    cwd: service.folder,
    env: { PATH: process.env['PATH'], PORT: port },
    encoding: 'utf8'
  })
  t.equal(status, 0, 'exit code')
  t.match(stdout, /^1 delivery to http:.+\n {2}200 +1 \(1 accepted\)\n/)
  t.match(stdout, /\n\S+Z {2}0-\d+-0 {2}email\.opened +sample-\w+-0\n$/)
})

t.test('the check by hand works as the README has it', async t => {
  const blocks = shellBlocks('### Check it by hand')
  t.equal(blocks.length, 3)
  t.match(readme, 'export CIO_WEBHOOK_SECRET=check-me')

  const service = await startServiceProcess({ CIO_WEBHOOK_SECRET: 'check-me' })
  t.teardown(() => service.process.kill('SIGTERM'))
  const script = blocks.join('\n').replaceAll('localhost:3000', `127.0.0.1:${service.port}`)
  const { stdout } = spawnSync('sh', ['-c', script], {
    env: { PATH: process.env['PATH'], CIO_WEBHOOK_SECRET: 'check-me' },
    encoding: 'utf8'
  })
  t.same(stdout.match(/HTTP \d+/g), ['HTTP 401', 'HTTP 200', 'HTTP 200'])
})
