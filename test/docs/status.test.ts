import { readFileSync } from 'node:fs'
import t from 'tap'
import { serveCommand } from '../../src/cli/serve/command.ts'
import { statusCommand } from '../../src/cli/status/command.ts'
import { runHere } from '../helpers/command.ts'
import { startRedis } from '../helpers/redis.ts'
import { KEY } from '../helpers/sign.ts'

const programs = new Map([
  ['status', statusCommand],
  ['serve', serveCommand]
])

/** The commands in the shell blocks of a page, without their comments. */
function commandsOf(page: string): readonly string[] {
  const blocks = [...readFileSync(page, 'utf8').matchAll(/```sh\n(.*?)```/gs)].map(([, block = '']) => block)
  return blocks
    .flatMap(block => block.replaceAll('\\\n', ' ').split('\n'))
    .map(line => line.replace(/#.*$/, '').trim())
}

t.test('the status and check commands of the documents run', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const lines = ['docs/troubleshooting.md', 'docs/deploy.md'].flatMap(commandsOf)
  const found = lines
    .map(line => /cio-webhook (status.*|serve --check.*)$/.exec(line)?.[1]?.split('|')[0]?.trim())
    .filter(command => command !== undefined)
  t.same(found, ['status', 'status --json', 'serve --check', 'serve --check'])
  for (const command of new Set(found)) {
    const [name = '', ...args] = command.split(' ')
    const program = programs.get(name)
    if (program === undefined) throw new Error(`not a command of this test: ${name}`)
    const { code, stdout, stderr } = await runHere(program, args, {
      REDIS_URL: redis.url,
      CIO_WEBHOOK_SECRET: KEY,
      PORT: '0'
    })
    t.equal(code, 0, `${command}: ${stdout}`)
    t.equal(stderr, '')
  }
})
