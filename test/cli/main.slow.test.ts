import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { runToEnd } from '../helpers/command.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'
import { KEY } from '../helpers/sign.ts'
import { startReceiver } from '../tools/doctor/receiver.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

t.jobs = 4
t.setTimeout(600_000)

const folder = temporaryFolder()
t.teardown(() => rmSync(folder, { recursive: true }))
const file = join(folder, 'file')
writeFileSync(file, '')
const closed = await freePort()
const key = { CIO_WEBHOOK_SECRET: KEY }
const noRedis = { ...key, REDIS_URL: `redis://:hunter2@127.0.0.1:${closed}` }
const noAws = {
  SECRETS_PROVIDER: 'aws',
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'hunter2',
  AWS_ENDPOINT_URL_SECRETS_MANAGER: `http://127.0.0.1:${closed}`,
  NODE_NO_WARNINGS: '1'
}
const noFolder = (name: string) => new RegExp(`^DATA_DIR=${name} cannot be created \\(`)

/** Failures that an operator can expect, by their circumstance. */
const failures: readonly (readonly [
  circumstance: string,
  args: readonly string[],
  env: Record<string, string>,
  line: RegExp
])[] = [
  ['Redis is unreachable', ['events'], noRedis, /^cannot reach Redis at 127\.0\.0\.1:\d+: ECONNREFUSED \(/],
  [
    'Redis is unreachable',
    ['consumers'],
    noRedis,
    /^cannot reach Redis at 127\.0\.0\.1:\d+: ECONNREFUSED \(/
  ],
  ['AWS is unreachable', ['serve'], noAws, /AWS Secrets Manager/],
  [
    'AWS is unreachable',
    ['rotate', 'status'],
    noAws,
    /^REDIS_URL: redis-url in AWS Secrets Manager can't be read \(ECONNREFUSED\)/
  ],
  ['DATA_DIR is in /proc', ['serve'], { DATA_DIR: '/proc/x' }, noFolder('/proc/x')],
  ['DATA_DIR is in /proc', ['serve'], { ...key, DATA_DIR: '/proc/x' }, noFolder('/proc/x')],
  ['DATA_DIR is a file', ['serve'], { DATA_DIR: file }, noFolder(file)],
  ['DATA_DIR is in a file', ['serve'], { ...key, DATA_DIR: join(file, 'x') }, noFolder(join(file, 'x'))],
  ['DATA_DIR is a file', ['rotate', 'status'], { ...key, DATA_DIR: file }, /^cannot open .*: ENOTDIR \(/],
  ['an option is unknown', ['rotate', '--nope'], key, /^unknown option --nope: --help lists them$/],
  ['an option has no value', ['send', '--count'], key, /^option --count needs a value$/],
  ['an argument contains control characters', ['doctor', 'x\u001b[2J\n'], key, /^x\\u001b\[2J\\n: give a URL/]
]

for (const [circumstance, args, env, line] of failures) {
  t.test(`${circumstance}: ${args.join(' ')} prints one line and ends with 2`, async t => {
    const { code, stdout, stderr } = await runToEnd(args, env)
    t.equal(code, 2)
    t.equal(stdout, '')
    t.match(stderr, new RegExp(`^cio-webhook ${args[0]}: [^\n]+\n$`))
    t.match(stderr.slice(`cio-webhook ${args[0]}: `.length, -1), line)
    t.notMatch(stderr, /hunter2|unexpected error|\n\s+at /)
  })
}

t.test('Redis stops while events --follow runs: one line, and the command ends with 2', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  await addEvents(redis.client, 1)
  const ended = runToEnd(['events', '--follow'], { ...key, REDIS_URL: redis.url })
  await until('the command to follow', async () =>
    / cmd=xrange/.test(String(await redis.client.client('LIST')))
  )
  await redis.stop()
  const { code, stderr } = await ended
  t.equal(code, 2)
  t.match(
    stderr,
    /^cio-webhook events: the connection to Redis at 127\.0\.0\.1:\d+ was lost: [^\n]+; check REDIS_URL[^\n]*\n$/
  )
})

t.test('a bug outside the command ends it with one line to report, without the message', async t => {
  const bug = join(folder, 'bug.mjs')
  const isRunning = "process.listenerCount('uncaughtException') > 0"
  writeFileSync(bug, `setInterval(() => { if (${isRunning}) throw new TypeError('ada@example.com') }, 10)`)
  const { code, stderr } = await runToEnd(['events'], { ...noRedis, NODE_OPTIONS: `--import=${bug}` })
  t.equal(code, 2)
  t.match(
    stderr,
    /^cio-webhook events: unexpected error: TypeError at bug\.mjs:1:\d+\. This is a bug: [^\n]+\n$/
  )
  t.notMatch(stderr, 'ada@')
})

const addEvents = async (client: Awaited<ReturnType<typeof startRedis>>['client'], count: number) => {
  for (let id = 0; id < count; id++) {
    const event = JSON.stringify({ id: String(id), data: { note: 'x'.repeat(1000) } })
    await client.xadd('cio:events:{0}', '*', 'type', 'io.customer.email.sent', 'event', event)
  }
}

/** Runs a command whose reader ends after the first bytes, as `| head -1` does. */
async function runIntoHead(args: readonly string[], env: Record<string, string>) {
  const child = spawn(process.execPath, [MAIN, ...args], { env: { PATH: process.env['PATH'], ...env } })
  child.stdout.once('data', () => child.stdout.destroy())
  const stderr = child.stderr.setEncoding('utf8').toArray()
  const [code] = await once(child, 'exit')
  return { code, stderr: (await stderr).join('') }
}

t.test('a command whose reader has ended ends quietly', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  await addEvents(redis.client, 1000)
  const env = { ...key, REDIS_URL: redis.url }
  t.same(await runIntoHead(['events', '--count', '1000', '--json'], env), { code: 2, stderr: '' })
  const following = runIntoHead(['events', '--count', '1', '--follow'], env)
  const adding = setInterval(() => void addEvents(redis.client, 1), 100)
  t.teardown(() => clearInterval(adding))
  t.same(await following, { code: 2, stderr: '' })
})

t.test('doctor into a reader that has ended already ends quietly', async t => {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const child = spawn(
    process.execPath,
    [MAIN, 'doctor', receiver.url.href, '--read-only', '--skip', 'stalled-body'],
    {
      env: { PATH: process.env['PATH'] }
    }
  )
  child.stdout.destroy()
  const stderr = child.stderr.setEncoding('utf8').toArray()
  t.same([await once(child, 'exit'), await stderr], [[2, null], []])
})

t.test('--version prints the version of the package', async t => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
  t.same(await runToEnd(['--version']), { code: 0, stdout: `${version}\n`, stderr: '' })
})

t.test('help prints the same, however it is asked for', async t => {
  const overview = await runToEnd(['help'])
  t.match(overview, { code: 0, stdout: /^usage: cio-webhook <command> \[options\]\n/, stderr: '' })
  t.same(await runToEnd(['--help']), overview)
  t.same(await runToEnd(['-h']), overview)
  for (const command of ['serve', 'send', 'doctor', 'leaks', 'rotate', 'events', 'consumers']) {
    t.match(overview.stdout, new RegExp(`^ {2}${command} +\\S`, 'm'))
    const help = await runToEnd(['help', command])
    t.match(help, { code: 0, stdout: new RegExp(`^usage: cio-webhook ${command}`), stderr: '' })
    t.same(await runToEnd([command, '--help']), help)
    t.same(await runToEnd([command, '-h']), help)
  }
  t.match(await runToEnd(['help', 'nope']), {
    code: 2,
    stderr: /^cio-webhook: unknown command "nope"\n\nusage:/
  })
  const { stdout, ...refused } = await runToEnd([])
  t.same({ stdout, ...refused }, { code: 2, stdout: '', stderr: overview.stdout })
})
