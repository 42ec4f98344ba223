import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { fileSecret } from '../../../src/credentials/places/file.ts'
import type { RotationReport } from '../../../src/credentials/rotation/report.ts'
import { rotationRecord } from '../../../src/credentials/rotation/state.ts'
import { rotateTrackKey } from '../../../src/credentials/rotation/track-key.ts'
import { trackProbe } from '../../../src/credentials/rotation/track-probe.ts'
import { runCli } from '../../helpers/cli.ts'
import { startCustomerIo } from '../../helpers/customer-io.ts'
import { temporaryFolder } from '../../helpers/server.ts'

const OLD = 'old-key-0123456789'
const NEW = 'new-key-0123456789'

/** A folder of mounted secrets, a Customer.io that knows the old key, and the command. */
async function operator(t: Test) {
  const cio = await startCustomerIo(t)
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const secrets = join(folder, 'secrets')
  mkdirSync(secrets)
  const put = (name: string, value: string): void => writeFileSync(join(secrets, name), `${value}\n`)
  put('cio-api-key', OLD)
  put('cio-site-id', 'site')
  cio.trackKeys.set(`site:${OLD}`, 4711)
  const env = {
    CIO_API_KEY_FILE: join(secrets, 'cio-api-key'),
    CIO_SITE_ID_FILE: join(secrets, 'cio-site-id'),
    CIO_TRACK_URL: cio.trackUrl,
    DATA_DIR: join(folder, 'data')
  }
  return {
    cio,
    put,
    env,
    secrets,
    rotate: (...args: string[]) => runCli(['rotate', ...args], env),
    /** The same without a process, for what needs many of them. */
    rotateHere: (oldRevoked = false): Promise<RotationReport> => {
      const file = (name: string) => fileSecret({ path: join(secrets, name), previousPath: undefined })
      return rotateTrackKey(
        {
          apiKey: file('cio-api-key'),
          siteId: file('cio-site-id'),
          probe: trackProbe({ region: 'us', trackUrl: cio.trackUrl }),
          record: rotationRecord(env.DATA_DIR),
          now: () => new Date()
        },
        {
          newKey: file('cio-api-key-v2'),
          newSiteId: file('cio-site-id-v2'),
          drainSeconds: 60,
          identify: false,
          oldRevoked,
          dryRun: false
        }
      )
    },
    /** Everything an operator's secrets folder holds. */
    held: () =>
      Object.fromEntries(
        readdirSync(secrets).map(name => [name, readFileSync(join(secrets, name), 'utf8').trim()])
      ),
    record: () => {
      const path = join(folder, 'data', 'rotation.json')
      return existsSync(path) ? readFileSync(path, 'utf8') : ''
    }
  }
}

t.test('a rotation from the new key to the end', async t => {
  const { cio, put, rotate, held, record } = await operator(t)
  put('cio-api-key-v2', NEW)
  cio.trackKeys.set(`site:${NEW}`, 4711)

  const dry = await rotate('--dry-run')
  t.match(dry, { code: 0, stdout: /accepted, workspace 4711/ })
  t.match(dry.stdout, /nothing was changed/)
  t.equal(held()['cio-api-key'], OLD)
  t.equal(record(), '')

  const switched = await rotate('--probe', 'identify')
  t.match(switched, { code: 0, stdout: /Revoke the old key .* after 2/ })
  t.match(cio.requests.slice(-3), [
    'PUT /api/v1/customers/rotation-test 200',
    'DELETE /api/v1/customers/rotation-test 200',
    'GET /api/v1/accounts/region 200'
  ])
  t.equal(cio.people.size, 0)
  t.match(held(), { 'cio-api-key': NEW, 'cio-api-key.previous': OLD })
  t.match(await rotate('status'), { code: 0, stdout: /drains until/ })

  const before = { held: held(), record: record() }
  t.match(await rotate(), { code: 0, stdout: /in use already, since 2/ }, 'run twice')
  t.same({ held: held(), record: record() }, before, 'is harmless')

  const early = await rotate('finish')
  t.match(early, { code: 1, stdout: /it still works/ })
  t.equal(held()['cio-api-key.previous'], OLD)

  cio.trackKeys.delete(`site:${OLD}`)
  t.match(await rotate('finish', '--dry-run'), { code: 0, stdout: /would be forgotten/ })
  t.equal(held()['cio-api-key.previous'], OLD)
  t.match(await rotate('finish'), { code: 0, stdout: /refused \(401\)[\s\S]*is gone/ })
  t.notHas(held(), { 'cio-api-key.previous': OLD })
  t.match(await rotate('finish'), { code: 0, stdout: /Nothing to do/ }, 'run twice')
  t.match(await rotate('status'), { code: 0, stdout: /nothing under way/ })
  for (const text of [switched.stdout, early.stdout, record()]) {
    t.notMatch(text, OLD)
    t.notMatch(text, NEW)
  }
})

t.test('a key with a site id of its own is switched together with it', async t => {
  const { cio, put, rotate, held } = await operator(t)
  put('cio-api-key-v2', NEW)
  put('cio-site-id-v2', 'site-2')
  cio.trackKeys.set(`site-2:${NEW}`, 4711)
  t.match(await rotate(), { code: 0 })
  t.match(held(), { 'cio-api-key': NEW, 'cio-site-id': 'site-2', 'cio-site-id.previous': 'site' })
  cio.trackKeys.delete(`site:${OLD}`)
  t.match(await rotate('finish'), { code: 0 })
  t.notHas(held(), { 'cio-site-id.previous': 'site' })
})

t.test('a status is due once the drain period is over', async t => {
  const { cio, put, rotate } = await operator(t)
  put('cio-api-key-v2', NEW)
  cio.trackKeys.set(`site:${NEW}`, 4711)
  t.match(await rotate('--drain', '0s'), { code: 0 })
  t.match(await rotate('status', '--json'), { code: 1, stdout: /"due":true/ })
})

t.test('a step that fails changes nothing and says what to do', async t => {
  type Operator = Awaited<ReturnType<typeof operator>>
  const cases: readonly [
    name: string,
    arrange: (operator: Operator) => void,
    expected: { outcome: RotationReport['outcome']; step: string; says: RegExp }
  ][] = [
    [
      'there is no new key',
      () => {},
      { outcome: 'impossible', step: 'read the new key', says: /run this again/ }
    ],
    [
      'the new key is refused',
      ({ put }) => put('cio-api-key-v2', 'mistyped'),
      { outcome: 'failed', step: 'ask Customer.io about the new key', says: /site id belongs to it/ }
    ],
    [
      'the new key is of another workspace',
      ({ put, cio }) => {
        put('cio-api-key-v2', NEW)
        cio.trackKeys.set(`site:${NEW}`, 99)
      },
      {
        outcome: 'failed',
        step: 'ask Customer.io about the new key',
        says: /workspace 99, the old one to 4711/
      }
    ],
    [
      'the old key is refused',
      ({ put, cio }) => {
        put('cio-api-key-v2', NEW)
        cio.trackKeys.delete(`site:${OLD}`)
      },
      { outcome: 'failed', step: 'ask Customer.io about the key in use', says: /--old-revoked/ }
    ],
    [
      'Customer.io is in trouble',
      ({ put, cio }) => {
        put('cio-api-key-v2', NEW)
        cio.answer = { status: 502, body: '<html>' }
      },
      {
        outcome: 'impossible',
        step: 'ask Customer.io about the key in use',
        says: /an answer that is no JSON/
      }
    ],
    [
      'Customer.io can not be reached',
      ({ put, cio }) => {
        put('cio-api-key-v2', NEW)
        cio.close()
      },
      { outcome: 'impossible', step: 'ask Customer.io about the key in use', says: /ECONNREFUSED/ }
    ],
    [
      'the address is not on the allow list',
      ({ put, cio }) => {
        put('cio-api-key-v2', NEW)
        cio.answer = { status: 403, body: '{}' }
      },
      { outcome: 'impossible', step: 'ask Customer.io about the key in use', says: /allow list/ }
    ],
    [
      'a rotation is under way',
      ({ put }) => {
        put('cio-api-key-v2', NEW)
        put('cio-api-key.previous', 'an older one')
      },
      { outcome: 'failed', step: 'compare', says: /rotate finish/ }
    ],
    [
      'the place of the old key can not be written',
      ({ put, cio, secrets }) => {
        put('cio-api-key-v2', NEW)
        put('cio-site-id-v2', 'site-2')
        cio.trackKeys.set(`site-2:${NEW}`, 4711)
        mkdirSync(join(secrets, 'cio-api-key.pending')) // unreadable as a file
      },
      { outcome: 'impossible', step: 'read the key in use', says: /EISDIR/ }
    ]
  ]
  for (const [name, arrange, { outcome, step, says }] of cases) {
    await t.test(name, async t => {
      const one = await operator(t)
      arrange(one)
      const before = (): unknown => [one.env, one.record(), readdirSync(one.secrets).sort()]
      const held = before()
      const report = await one.rotateHere()
      t.equal(report.outcome, outcome)
      t.equal(report.steps.find(({ ok }) => !ok)?.step, step)
      t.match(JSON.stringify(report), says)
      t.same(before(), held, 'nothing has changed')
      t.equal(readFileSync(join(one.secrets, 'cio-api-key'), 'utf8').trim(), OLD)
      t.equal(readFileSync(join(one.secrets, 'cio-site-id'), 'utf8').trim(), 'site')
    })
  }
})

t.test('a revoked old key is no obstacle for who says so', async t => {
  const { cio, put, rotateHere, held } = await operator(t)
  put('cio-api-key-v2', NEW)
  cio.trackKeys.clear()
  cio.trackKeys.set(`site:${NEW}`, 4711)
  t.match(await rotateHere(true), { outcome: 'done' })
  t.equal(held()['cio-api-key'], NEW)
})

t.test('a key in the environment is proven, but only the operator can switch it', async t => {
  const { cio, env } = await operator(t)
  cio.trackKeys.set(`site:${NEW}`, 4711)
  const { CIO_API_KEY_FILE: _, ...rest } = env
  const run = await runCli(['rotate'], { ...rest, CIO_API_KEY: OLD, CIO_API_KEY_V2: NEW })
  t.match(run, {
    code: 2,
    stdout:
      /ok {4}ask Customer.io about the new key[\s\S]*FAIL {2}switch: CIO_API_KEY stands in the environment/
  })
})

t.test('what is missing is named', async t => {
  const runs = [
    [['rotate'], {}, /CIO_SITE_ID is missing/],
    [['rotate'], { CIO_SITE_ID: 'site' }, /CIO_API_KEY is missing/],
    [['rotate', 'everything'], {}, /no such rotation/],
    [['rotate', '--drain', 'long'], {}, /--drain long: give a number/]
  ] as const
  const ended = await Promise.all(runs.map(([args, env]) => runCli(args, env)))
  for (const [index, run] of ended.entries()) t.match(run, { code: 2, stderr: runs[index]?.[2] })
})
