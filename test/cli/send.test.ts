import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { sendCommand } from '../../src/cli/send.ts'
import { runToEnd } from '../helpers/command.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { KEY } from '../helpers/sign.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const folder = temporaryFolder()
t.teardown(() => rmSync(folder, { recursive: true }))
const service = await startTestService({ REDIS_URL: redis.url })
t.teardown(() => service.close())
const env = { CIO_WEBHOOK_SECRET: KEY, PORT: String(service.port) }

const entries = async (stream = 'cio:events:{0}') =>
  (await redis.client.xrange(stream, '-', '+')).map(([, fields]) => ({
    type: fields[1],
    event: JSON.parse(fields[3] ?? '{}') as { id: string; data: Record<string, unknown> }
  }))
t.beforeEach(async () => {
  await redis.client.flushall()
})

t.test('without options one sample goes to the service on this machine', async t => {
  const { code, stdout, stderr } = await runToEnd(['send'], env)
  t.equal(code, 0)
  t.equal(stderr, '')
  t.match(stdout, /^1 delivery to http:\/\/localhost:\d+\/api\/cio\/webhook in/)
  t.match(stdout, / {2}200 +1 \(1 accepted\)\n/)
  t.match(await entries(), [{ type: 'io.customer.email.opened', event: { id: /^sample-/ } }])
})

t.test('all samples are accepted, each under its type', async t => {
  const { code, stdout } = await runToEnd(['send', '--type', 'all', '--count', '73', '--json'], env)
  t.equal(code, 0)
  t.match(JSON.parse(stdout), {
    deliveries: 73,
    outcomes: { accepted: 73 },
    latencyMs: { p50: Number, max: Number }
  })
  t.equal(new Set((await entries()).map(({ type }) => type)).size, 73)
})

t.test('the share of duplicates is told apart by the service', async t => {
  const { stdout } = await runToEnd(['send', '--count', '100', '--duplicates', '10%', '--json'], env)
  t.same(JSON.parse(stdout).outcomes, { accepted: 90, duplicate: 10 })
  t.equal((await entries()).length, 90)
})

t.test('a file goes as it is, standard input too, under either scheme', async t => {
  const file = join(folder, 'event.json')
  writeFileSync(file, '{ "event_id": "from-a-file", "object_type": "sms", "metric": "sent" }\n')
  t.equal((await runToEnd(['send', '--file', file], env)).code, 0)
  const again = await runToEnd(['send', '--file', '-', '--scheme', 'body'], env, 'no JSON at all')
  t.match(again.stdout, '1 parked')
  t.match(await entries(), [{ type: 'io.customer.sms.sent', event: { id: 'from-a-file' } }])
  t.equal((await entries('cio:parked:{0}')).length, 1)
})

t.test('a file sent several times is several events, byte for byte it is one', async t => {
  const file = join(folder, 'event.json')
  writeFileSync(file, '{"event_id":"one","object_type":"sms","metric":"sent"}')
  const many = await runToEnd(['send', '--file', file, '--count', '5', '--json'], env)
  t.same(JSON.parse(many.stdout).outcomes, { accepted: 5 })
  const one = await runToEnd(['send', '--file', file, '--count', '5', '--verbatim', '--json'], env)
  t.same(JSON.parse(one.stdout).outcomes, { accepted: 1, duplicate: 4 })
})

t.test('the key a development start has made is found in its folder', async t => {
  writeFileSync(join(folder, 'webhook_secret'), `${KEY}\n`)
  t.equal((await runToEnd(['send'], { PORT: env.PORT, DATA_DIR: folder })).code, 0)
  const production = await runToEnd(['send'], { PORT: env.PORT, DATA_DIR: folder, NODE_ENV: 'production' })
  t.equal(production.code, 2)
  t.match(production.stderr, 'CIO_WEBHOOK_SECRET is missing')
})

t.test('a refused delivery ends the command with 1, no answer with 2', async t => {
  const refused = await runToEnd(['send'], { ...env, CIO_WEBHOOK_SECRET: 'another' })
  t.equal(refused.code, 1)
  t.match(refused.stdout, / {2}401 +1\n/)
  const nobody = await runToEnd(['send', `http://127.0.0.1:${await freePort()}/`], env)
  t.equal(nobody.code, 2)
  t.match(nobody.stdout, 'ECONNREFUSED')
})

const refusals: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['a load test on another machine', ['https://example.com/', '--rate', '6'], /--yes-load-test/],
  [
    'a name that only begins like this machine',
    ['http://localhost.example.com/', '--rate', '6'],
    /--yes-load-test/
  ],
  ['an unknown type', ['--type', 'email.eaten'], /no such sample/],
  ['a type and a file', ['--type', 'sms.sent', '--file', 'x'], /give --type or --file/],
  ['a file that is not there', ['--file', '/nowhere'], /can't be read \(ENOENT\)/],
  ['no deliveries', ['--count', '0'], /--count 0: give a whole number/],
  ['nothing but duplicates', ['--duplicates', '100%'], /from 0% to 99%/],
  ['a share without its sign', ['--duplicates', '0.1'], /from 0% to 99%/],
  ['a rate of nothing', ['--rate', '0'], /--rate 0/],
  ['an unknown scheme', ['--scheme', 'cdp'], /give v0 or body/]
]

for (const [name, args, message] of refusals) {
  t.test(`${name} can’t be meant: one line says so, and nothing is sent`, async t => {
    t.intercept(process, 'env', { value: env })
    await t.rejects(sendCommand.run(args), { name: 'UsageError', message })
    t.same(await entries(), [])
  })
}

t.test('the list of samples needs no key', async t => {
  const { code, stdout } = await runToEnd(['send', '--list'])
  t.equal(code, 0)
  t.equal(stdout.trim().split('\n').length, 73)
})
