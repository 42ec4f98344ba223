import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { UsageError } from '../../../src/cli/command.ts'
import { doctorCommand } from '../../../src/cli/doctor/command.ts'
import { ConfigError } from '../../../src/errors.ts'
import { publishedAddresses } from '../../../src/receive/published-addresses.ts'
import { runHere, runToEnd } from '../../helpers/command.ts'
import { freePort, temporaryFolder } from '../../helpers/server.ts'
import { KEY } from '../../helpers/sign.ts'
import { startReceiver } from '../../tools/doctor/receiver.ts'

const folder = temporaryFolder()
t.teardown(() => rmSync(folder, { recursive: true }))
const QUICK = ['--skip', 'stalled-body,slow-body']
const env = { CIO_WEBHOOK_SECRET: KEY }
const runDoctor = (args: readonly string[], environment: Readonly<Record<string, string>> = {}) =>
  runHere(doctorCommand, args, environment)

t.test('a correct endpoint: no check fails, and the command ends with 0', async t => {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const { code, stdout, stderr } = await runDoctor([receiver.url.href, ...QUICK], env)
  t.equal(code, 0)
  t.equal(stderr, '')
  t.match(stdout, /\nPASS: 0 fail, \d+ warn, \d+ pass, \d+ skip; \d+ requests in [\d.]+ s\n$/)
  t.match(stdout, / {2}pass no-signature +A delivery without a signature is refused\n/)
  t.notMatch(stdout, '\u001b')
})

t.test(
  'a faulty endpoint: the fault, its reason and its remedy are reported, and the command ends with 1',
  async t => {
    const receiver = await startReceiver({ isNew: async () => true })
    t.teardown(() => receiver.close())
    const junit = join(folder, 'report.xml')
    const { code, stdout } = await runDoctor([receiver.url.href, ...QUICK, '--junit', junit], env)
    t.equal(code, 1)
    t.match(
      stdout,
      /FAIL replay\n {2}observed +2 of 2 deliveries of one event are accepted as new\.\n {2}why +\S.*/
    )
    t.match(stdout, /\n {2}remedy +Remember the event_id/)
    t.match(stdout, 'FAIL: 1 fail, ')
    t.notMatch(stdout, KEY)

    const xml = readFileSync(junit, 'utf8')
    t.match(xml, /<testsuites tests="\d+" failures="1" errors="0" skipped="\d+"/)
    t.match(
      xml,
      /<testcase classname="doctor.idempotency" name="replay: [^"]+" time="[\d.]+">\s+<failure message="2 of 2/
    )
  }
)

t.test('the JSON report has the same findings, with the key in a file', async t => {
  const receiver = await startReceiver({ isFresh: () => true })
  t.teardown(() => receiver.close())
  const file = join(folder, 'key')
  writeFileSync(file, `${KEY}\n`)
  const { code, stdout } = await runDoctor([receiver.url.href, ...QUICK, '--json'], {
    CIO_WEBHOOK_SECRET_FILE: file
  })
  t.equal(code, 1)
  const { checks, verdict } = JSON.parse(stdout) as {
    checks: { id: string; status: string }[]
    verdict: string
  }
  t.equal(verdict, 'fail')
  t.same(
    checks.filter(({ status }) => status === 'fail').map(({ id }) => id),
    ['stale-timestamp']
  )
})

t.test('the root cause comes first, and is in the JSON', async t => {
  const receiver = await startReceiver({ key: 'another key' })
  t.teardown(() => receiver.close())
  const wrongKey = await runDoctor([receiver.url.href, ...QUICK], env)
  t.match(wrongKey.stdout, /^http.*\n\nROOT CAUSE {2}Not accepted: 401 /)
  t.equal(wrongKey.code, 1)

  const server = createServer((_request, response) => response.writeHead(404).end())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const { code, stdout } = await runDoctor([`http://127.0.0.1:${port}/`, '--json'], env)
  t.equal(code, 1)
  const { rootCause, checks } = JSON.parse(stdout)
  t.match(rootCause, {
    cause: 'no_receiver',
    observed: /^There is no webhook endpoint .* Other checks were not run\.$/
  })
  t.match(
    checks.find(({ id }: { id: string }) => id === 'burst'),
    { status: 'skip', observed: /^Not run: /, requests: 0 }
  )
  const right = await startReceiver()
  t.teardown(() => right.close())
  const report = await runDoctor([right.url.href, ...QUICK, '--json'], env)
  t.equal(JSON.parse(report.stdout).rootCause, null)
})

t.test('--plan needs no key and sends no request', async t => {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const human = await runDoctor([receiver.url.href, '--plan', '--burst', '7'])
  t.equal(human.code, 0)
  t.match(human.stdout, /burst \(8\)\n {2}sends one event, 7 times/)
  const machine = await runDoctor([receiver.url.href, '--plan', '--json', '--read-only'])
  const { checks } = JSON.parse(machine.stdout) as { checks: { id: string }[] }
  t.notOk(checks.some(({ id }) => id === 'authentic'))
  t.same(receiver.requests, [])
})

t.test('a read-only run needs no key, and the endpoint keeps nothing', async t => {
  const receiver = await startReceiver()
  t.teardown(() => receiver.close())
  const { code, stdout } = await runDoctor([receiver.url.href, '--read-only', ...QUICK])
  t.equal(code, 0)
  t.match(stdout, ', read-only\n')
  t.same(receiver.kept, [])
})

for (const options of [QUICK, ['--read-only', ...QUICK]]) {
  t.test(`from an address that is not allowed the command ends with 2: ${options[0]}`, async t => {
    const receiver = await startReceiver({ allowed: address => publishedAddresses.includes(address) })
    t.teardown(() => receiver.close())
    const junit = join(folder, 'skipped.xml')
    const args = [receiver.url.href, ...options, '--junit', junit]
    const human = await runDoctor(args, env)
    t.equal(human.code, 2)
    t.match(human.stdout, /\nCOULD NOT CHECK: authentic and forged deliveries are refused alike: 0 fail/)
    t.match(human.stdout, '403: your address is refused before the signature is checked.')
    t.notMatch(human.stdout, 'FAIL')
    t.notMatch(human.stdout, / pass +(no-signature|wrong-key|changed-body) /)
    t.match(
      readFileSync(junit, 'utf8'),
      /<testsuites tests="\d+" failures="0" errors="1".*<error message="Could/s
    )

    const machine = await runDoctor([...args, '--json'], env)
    t.equal(machine.code, 2)
    t.equal(JSON.parse(machine.stdout).verdict, 'skip')
  })
}

const refusals: readonly (readonly [string, readonly string[], Record<string, string>, RegExp])[] = [
  ['no URL', [], env, /give the URL of the endpoint/],
  ['an invalid URL', ['nonsense'], env, /nonsense: give a URL that begins with http/],
  ['a URL with a login', ['https://user:pass@example.com/'], env, /without user name and password/],
  [
    'no key',
    ['http://127.0.0.1:1/'],
    { NODE_ENV: 'production' },
    /CIO_WEBHOOK_SECRET is missing.*--read-only/
  ],
  ['an empty key', ['http://127.0.0.1:1/'], { CIO_WEBHOOK_SECRET: '' }, /is set but empty/],
  ['two keys', ['http://127.0.0.1:1/'], { ...env, CIO_WEBHOOK_SECRET_FILE: 'x' }, /are both set/],
  [
    'an unknown check',
    ['http://127.0.0.1:1/', '--skip', 'luck'],
    env,
    /--skip luck: unknown check; --plan lists all/
  ],
  [
    'the check that all others depend on',
    ['http://127.0.0.1:1/', '--skip', 'authentic'],
    env,
    /every other check depends on it/
  ],
  ['a burst of one', ['http://127.0.0.1:1/', '--burst', '1'], env, /from 2 to 200/],
  [
    'a source without its file',
    ['http://127.0.0.1:1/', '--source', 'crm'],
    env,
    /CIO_SOURCES_FILE is missing/
  ],
  ['an unknown option', ['http://127.0.0.1:1/', '--key', 'x'], env, /--key/]
]

for (const [name, args, environment, message] of refusals) {
  t.test(`${name} is refused with one line`, async t => {
    const error: unknown = await doctorCommand.run(args, environment).catch(error => error)
    t.ok(error instanceof UsageError || error instanceof ConfigError)
    t.match(error, { message })
    t.notMatch(error, { message: /pass@|\n/ })
  })
}

t.test('without a connection the command prints one line and ends with 2', async t => {
  const { code, stderr } = await runToEnd(['doctor', `http://127.0.0.1:${await freePort()}/`], env)
  t.equal(code, 2)
  t.match(stderr, /cannot connect to http:\S+ \(ECONNREFUSED\)\n$/)
})
