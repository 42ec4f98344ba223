import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { addDeadLetter, payload, startTestApi } from '../helpers/console-api.ts'
import { startRedis } from '../helpers/redis.ts'
import { temporaryFolder, until } from '../helpers/server.ts'

const run = promisify(execFile)

/** The shell commands of the section "API", in their order. */
function commands(): readonly string[] {
  const page = readFileSync('docs/console.md', 'utf8')
  const section = /^## API\n(.*?)^## /ms.exec(page)?.[1] ?? ''
  return [...section.matchAll(/```sh\n(.*?)```/gs)].flatMap(([, block = '']) => block.trim().split('\n'))
}

t.test('the commands of the API in docs/console.md do what the page says', async t => {
  const folder = temporaryFolder()
  const shell = (command: string) => run('sh', ['-ec', command], { cwd: folder })
  const [createToken = '', createHeader = '', ...requests] = commands()
  t.equal(requests.length, 11)
  await shell(createToken)
  await shell(createHeader)
  const { stdout: modes } = await shell('stat -c %a console-token console-header')
  t.equal(modes, '600\n600\n')

  const redis = await startRedis()
  const api = await startTestApi(redis.url, {
    CONSOLE_API_TOKEN: readFileSync(join(folder, 'console-token'), 'utf8').trim()
  })
  t.teardown(async () => {
    await api.close()
    await redis.stop()
  })
  const token = {
    authorization: readFileSync(join(folder, 'console-header'), 'utf8').trim().replace(/^\S+ /, '')
  }
  const withToken = { ...api, call: (route: string, body?: unknown) => api.call(route, body, token) }
  await api.service.post(payload())
  await addDeadLetter(withToken, 'dead')
  await until('the deliveries are counted', async () =>
    /"accepted":2\b/.test((await withToken.call('GET /deliveries')).text)
  )
  const delivered = api.receiver.requests.length

  const answers = new Map<string, string>()
  for (const command of requests) {
    t.ok(command.includes('http://localhost:3100/'), command)
    const { stdout } = await shell(command.replace('http://localhost:3100', api.url))
    t.notMatch(stdout, /"code"/, command)
    answers.set(/\/api\/v1(\/[^\s'?]*)/.exec(command)?.[1] ?? '', stdout)
  }
  t.match(answers.get('/status'), /"problems":\[\{"id":"/)
  t.match(answers.get('/deliveries'), /"outcomes":\{"accepted":2\}/)
  t.match(answers.get('/events'), /"subject":"4711"/)
  t.match(answers.get('/events/search'), /"subject":"4711"/)
  t.match(answers.get('/consumers/crm/dead-letters'), /"reason":"failed"/)
  t.match(answers.get('/consumers/crm/replay'), /\{"replayed":1,/)
  t.match(answers.get('/audit'), /"action":"consumer_resumed".*"action":"dead_letters_replayed"/)
  await until('the dead letter is delivered', async () => api.receiver.requests.length > delivered)
})
