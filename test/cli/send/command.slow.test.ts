import { rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { sendCommand } from '../../../src/cli/send/command.ts'
import { Secret } from '../../../src/secret.ts'
import { runToEnd } from '../../helpers/command.ts'
import { startRedis } from '../../helpers/redis.ts'
import { freePort, temporaryFolder } from '../../helpers/server.ts'
import { startTestService } from '../../helpers/service.ts'
import { KEY } from '../../helpers/sign.ts'

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

t.test('the service recognizes the share of duplicates', async t => {
  const { stdout } = await runToEnd(['send', '--count', '100', '--duplicates', '10%', '--json'], env)
  t.same(JSON.parse(stdout).outcomes, { accepted: 90, duplicate: 10 })
  t.equal((await entries()).length, 90)
})

t.test('a file is sent unchanged, standard input too, with either scheme', async t => {
  const file = join(folder, 'event.json')
  writeFileSync(file, '{ "event_id": "from-a-file", "object_type": "sms", "metric": "sent" }\n')
  t.equal((await runToEnd(['send', '--file', file], env)).code, 0)
  const again = await runToEnd(['send', '--file', '-', '--scheme', 'body'], env, 'no JSON at all')
  t.match(again.stdout, '1 parked')
  t.match(again.stdout, /^hint: parked: /m)
  t.equal(again.code, 1, 'a parked delivery is not accepted')
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

const event = (id: string): string =>
  JSON.stringify({ event_id: id, object_type: 'sms', metric: 'sent', data: {} })
const ids = async (): Promise<readonly string[]> => (await entries()).map(({ event }) => event.id)

t.test('NDJSON is one delivery per line, from a file and from standard input', async t => {
  const lines = `\ufeff${event('a')}\r\n\r\n  ${event('b')}\n${event('c')}`
  const { code, stdout } = await runToEnd(['send', '--file', '-', '--json'], env, lines)
  t.equal(code, 0)
  t.match(JSON.parse(stdout), { deliveries: 3, outcomes: { accepted: 3 } })
  t.same((await ids()).toSorted(), ['a', 'b', 'c'])

  const file = join(folder, 'one.jsonl')
  writeFileSync(file, `${event('d')}\n`)
  t.equal((await runToEnd(['send', '--file', file, '--count', '2'], env)).code, 0)
  const [fourth, fifth] = (await ids()).slice(3)
  t.match([fourth, fifth], [/^sample-/, /^sample-/], 'sent more often than it is in the file')
  t.not(fourth, fifth)
})

t.test('a document on several lines is one delivery, with a byte order mark or without', async t => {
  const pretty = JSON.stringify(JSON.parse(event('pretty')), null, 2)
  for (const [text, outcome] of [
    [`\ufeff${pretty}`, 'accepted'],
    [pretty, 'duplicate']
  ] as const) {
    const { code, stdout } = await runToEnd(['send', '--file', '-', '--json'], env, text)
    t.equal(code, 0)
    t.same(JSON.parse(stdout).outcomes, { [outcome]: 1 })
  }
})

t.test('one parked delivery among accepted ones ends the command with 1', async t => {
  const { code, stdout } = await runToEnd(['send', '--file', '-'], env, `${event('a')}\n{"b":\n${event('c')}`)
  t.equal(code, 1)
  t.match(stdout, '(2 accepted, 1 parked)')
})

t.test('fields can be set, in a file and in a sample', async t => {
  const changes = ['--set', 'data.customer_id=4711', '--set', 'data.labels.0=new']
  t.equal((await runToEnd(['send', '--file', '-', ...changes], env, event('changed'))).code, 0)
  t.equal((await runToEnd(['send', '--type', 'sms.sent', ...changes, '--set', 'event_id=s'], env)).code, 0)
  for (const { event } of await entries()) t.match(event.data['data'], { customer_id: 4711, labels: ['new'] })
  t.same(await ids(), ['changed', 's'])
})

t.test('numbers keep their digits, also if another field is changed', async t => {
  const bodies: string[] = []
  const server = createServer(async (request, response) => {
    bodies.push(Buffer.concat(await request.toArray()).toString())
    response.end('{}')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const numbers = '"id":8202522731445525542,"price":19.90,"x":1e400'
  const send = (...args: readonly string[]) =>
    runToEnd(['send', url, '--file', '-', ...args], env, `{${numbers}}`)
  await send()
  await send('--set', 'data.id=4611686018427387904')
  t.equal((await send('--count', '2')).code, 0)
  t.match(bodies, [
    `{${numbers}}`,
    `{${numbers},"data":{"id":4611686018427387904}}`,
    new RegExp(`^{${numbers.replace('.', '\\.')},"event_id":"sample-`),
    new RegExp(`^{${numbers.replace('.', '\\.')},"event_id":"sample-`)
  ])
})

t.test('a source for Data Pipelines gets its own signature', async t => {
  const file = join(folder, 'sources.json')
  const sources = [{ name: 'pipelines', secret: 'a key of its own', schemes: ['cdp'] }]
  writeFileSync(file, JSON.stringify({ sources }))
  const cdp = await startTestService({ REDIS_URL: redis.url, CIO_SOURCES_FILE: file })
  t.teardown(() => cdp.close())
  const args = ['send', '--source', 'pipelines', '--file', '-']
  const environment = { ...env, PORT: String(cdp.port), CIO_SOURCES_FILE: file }
  const body = '{"type":"track","messageId":"m1"}'
  const accepted = await runToEnd([...args, '--scheme', 'cdp'], environment, body)
  t.equal(accepted.code, 0, accepted.stdout)
  const refused = await runToEnd(args, environment, body)
  t.match(refused.stdout, /hint: 401: .*scheme v0: .*--scheme v0, body or cdp/)
})

t.test('the key that a development start generated is found in DATA_DIR', async t => {
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
  t.match(refused.stdout, new RegExp(`^hint: 401: .*${new Secret('another').id}.*the clocks agree$`, 'm'))
  t.notMatch(refused.stdout, 'another')
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
  ['a type and a file', ['--type', 'sms.sent', '--file', 'x'], /give either --type or --file/],
  ['a file that is not there', ['--file', '/nowhere'], /cannot read it \(ENOENT\)/],
  ['no deliveries', ['--count', '0'], /--count 0: give a whole number/],
  ['nothing but duplicates', ['--duplicates', '100%'], /from 0% to 99%/],
  ['a share without its sign', ['--duplicates', '0.1'], /from 0% to 99%/],
  ['a rate of 0', ['--rate', '0'], /--rate 0/],
  ['an unknown scheme', ['--scheme', 'v1'], /give v0, body or cdp/],
  ['a field without a value', ['--set', 'data.customer_id'], /give a path and a value/],
  ['a path with an empty part', ['--set', 'data..id=1'], /give a path and a value/],
  ['a field below a text', ['--set', 'metric.x=1'], /metric is not an object or an array/],
  [
    'a change to a verbatim file',
    ['--file', 'x', '--verbatim', '--set', 'a=1'],
    /give either --set or --verbatim/
  ]
]

for (const [name, args, message] of refusals) {
  t.test(`${name} is refused with one line, and nothing is sent`, async t => {
    await t.rejects(sendCommand.run(args, env), { name: 'UsageError', message })
    t.same(await entries(), [])
  })
}

t.test('the list of samples needs no key', async t => {
  const { code, stdout } = await runToEnd(['send', '--list'])
  t.equal(code, 0)
  t.equal(stdout.trim().split('\n').length, 73)
})
