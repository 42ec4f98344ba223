import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { trackProbe } from '../../../src/customerio/track-api.ts'
import { fileSecret } from '../../../src/settings/secrets/file.ts'
import type { RotationReport } from '../../../src/tools/rotate/report.ts'
import { rotationRecord } from '../../../src/tools/rotate/state.ts'
import { trackKeyStatus } from '../../../src/tools/rotate/status.ts'
import { finishTrackKey, rotateTrackKey, type TrackKeyOptions } from '../../../src/tools/rotate/track-key.ts'
import { startCustomerIo } from '../../helpers/customer-io.ts'
import { temporaryFolder } from '../../helpers/server.ts'

const OLD = 'old-key-0123456789'
const NEW = 'new-key-0123456789'

/** A folder of mounted secrets and a Customer.io that knows the old key. */
async function operator(t: Test) {
  const cio = await startCustomerIo(t)
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const [secrets, data] = [join(folder, 'secrets'), join(folder, 'data')]
  mkdirSync(secrets)
  const put = (name: string, value: string): void => writeFileSync(join(secrets, name), `${value}\n`)
  put('cio-api-key', OLD)
  put('cio-site-id', 'site')
  cio.trackKeys.set(`site:${OLD}`, 4711)

  const file = (name: string) => fileSecret({ path: join(secrets, name), previousPath: undefined })
  const rotation = {
    apiKey: file('cio-api-key'),
    siteId: file('cio-site-id'),
    probe: trackProbe({ region: 'us', trackUrl: cio.trackUrl }),
    record: rotationRecord(data),
    now: () => new Date()
  }
  const options = {
    newKey: { name: 'cio-api-key-v2', handle: file('cio-api-key-v2') },
    newSiteId: file('cio-site-id-v2'),
    drainSeconds: 60,
    identify: false,
    oldRevoked: false,
    dryRun: false
  }
  return {
    cio,
    put,
    secrets,
    record: join(data, 'rotation.json'),
    rotate: (given: Partial<TrackKeyOptions> = {}) => rotateTrackKey(rotation, { ...options, ...given }),
    finish: (dryRun = false) => finishTrackKey(rotation, dryRun),
    status: () => trackKeyStatus(rotation),
    /** Everything that is kept: the secrets folder and the record. */
    kept: (): Record<string, string> => {
      const names = readdirSync(secrets).filter(name => statSync(join(secrets, name)).isFile())
      const held = names.map(name => [name, readFileSync(join(secrets, name), 'utf8').trim()])
      const path = join(data, 'rotation.json')
      return Object.fromEntries([...held, ['record', existsSync(path) ? readFileSync(path, 'utf8') : '']])
    }
  }
}

t.test('a rotation from the new key to the end', async t => {
  const { cio, put, rotate, finish, status, kept } = await operator(t)
  put('cio-api-key-v2', NEW)
  cio.trackKeys.set(`site:${NEW}`, 4711)

  const before = kept()
  const { outcome, next } = await rotate({ dryRun: true })
  t.same({ outcome, next }, { outcome: 'would_do', next: ['To switch, run this again without --dry-run.'] })
  t.same(kept(), before)

  const switched = await rotate({ identify: true })
  t.match(switched, { outcome: 'done', next: [/Restart/, /Revoke the old key .* after 2/, /rotate finish/] })
  t.match(cio.requests.slice(-3), [
    'PUT /api/v1/customers/rotation-test 200',
    'DELETE /api/v1/customers/rotation-test 200',
    'GET /api/v1/accounts/region 200'
  ])
  t.equal(cio.people.size, 0)
  t.match(kept(), { 'cio-api-key': NEW, 'cio-api-key.previous': OLD })
  t.match(await status(), { due: false, advice: /may be in use until/ })

  const after = kept()
  t.match(await rotate(), {
    outcome: 'nothing_to_do',
    steps: [{}, {}, { detail: /in use already, since 2/ }]
  })
  t.same(kept(), after, 'run twice is harmless')

  const early = await finish()
  t.match(early, { outcome: 'failed', steps: [{ ok: true }, { ok: false, detail: /it still works/ }] })
  t.same(kept(), after)
  cio.answer = { status: 500, body: '{}' }
  t.match(await finish(), { outcome: 'impossible' }, 'an answer without a verdict')
  t.same(kept(), after)
  cio.answer = undefined

  cio.trackKeys.delete(`site:${OLD}`)
  t.match(await finish(true), { outcome: 'would_do' })
  t.same(kept(), after)
  const finished = await finish()
  t.match(finished, { outcome: 'done' })
  t.notHas(kept(), { 'cio-api-key.previous': OLD })
  t.match(await finish(), { outcome: 'nothing_to_do' }, 'run twice')
  t.match(await status(), { due: false, advice: 'no rotation in progress' })
  for (const text of [JSON.stringify([switched, early, finished]), after['record'], kept()['record']]) {
    t.notMatch(text, OLD)
    t.notMatch(text, NEW)
  }
})

t.test('the key in use must work before the old one is removed', async t => {
  const { cio, put, rotate, finish, kept } = await operator(t)
  put('cio-api-key-v2', NEW)
  cio.trackKeys.set(`site:${NEW}`, 4711)
  await rotate()
  cio.trackKeys.clear()
  const before = kept()
  t.match(await finish(), { outcome: 'failed', steps: [{ ok: false, detail: 'refused (401)' }] })
  t.same(kept(), before)
})

t.test('a key with a site id of its own is switched together with it', async t => {
  const { cio, put, rotate, finish, kept } = await operator(t)
  put('cio-api-key-v2', NEW)
  put('cio-site-id-v2', 'site-2')
  cio.trackKeys.set(`site-2:${NEW}`, 4711)
  t.match(await rotate(), { outcome: 'done' })
  t.match(kept(), { 'cio-api-key': NEW, 'cio-site-id': 'site-2', 'cio-site-id.previous': 'site' })
  cio.trackKeys.delete(`site:${OLD}`)
  t.match(await finish(), { outcome: 'done' })
  t.notHas(kept(), { 'cio-site-id.previous': 'site' })
})

t.test('a site id is switched back if its key cannot be switched', async t => {
  const { cio, put, rotate, kept, secrets } = await operator(t)
  put('cio-api-key-v2', NEW)
  put('cio-site-id-v2', 'site-2')
  cio.trackKeys.set(`site-2:${NEW}`, 4711)
  renameSync(join(secrets, 'cio-api-key'), join(secrets, 'elsewhere'))
  symlinkSync('elsewhere', join(secrets, 'cio-api-key'))
  const before = kept()
  t.match(await rotate(), { outcome: 'impossible', next: ['Nothing was changed.'] })
  t.same(kept(), before)
})

t.test('it is due once the drain period is over', async t => {
  const { cio, put, rotate, status } = await operator(t)
  put('cio-api-key-v2', NEW)
  cio.trackKeys.set(`site:${NEW}`, 4711)
  await rotate({ drainSeconds: 0 })
  t.match(await status(), { due: true, advice: /revoke .* at Customer.io/ })
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
      {
        outcome: 'impossible',
        step: 'read the new key',
        says: /nothing at any of: CIO_API_KEY_V2, CIO_API_KEY_V2_FILE, the file \S+cio-api-key-v2, a pending version of the file .+run this again/
      }
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
      'Customer.io answers with an error',
      ({ put, cio }) => {
        put('cio-api-key-v2', NEW)
        cio.answer = { status: 502, body: '<html>' }
      },
      {
        outcome: 'impossible',
        step: 'ask Customer.io about the key in use',
        says: /an answer that is not JSON/
      }
    ],
    [
      'Customer.io cannot be reached',
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
      'a rotation is in progress',
      ({ put }) => {
        put('cio-api-key-v2', NEW)
        put('cio-api-key.previous', 'an older one')
      },
      { outcome: 'failed', step: 'compare', says: /rotate finish/ }
    ],
    [
      'the place of the old key cannot be read',
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
      const before = one.kept()
      const report = await one.rotate()
      t.equal(report.outcome, outcome)
      t.equal(report.steps.find(({ ok }) => !ok)?.step, step)
      t.match(JSON.stringify(report), says)
      t.same(one.kept(), before, 'nothing has changed')
    })
  }
})

t.test('a lost record is written again, and the drain period starts again', async t => {
  const { cio, put, rotate, status, record } = await operator(t)
  put('cio-api-key-v2', NEW)
  cio.trackKeys.set(`site:${NEW}`, 4711)
  await rotate()
  rmSync(record)
  t.match(await status(), { due: false, revokeAfter: undefined, advice: /once nothing uses it/ })
  t.match(await rotate(), { outcome: 'nothing_to_do' })
  t.match(await status(), { due: false, advice: /may be in use until/ })
})

t.test('--old-revoked allows an old key that is revoked already', async t => {
  const { cio, put, rotate, kept } = await operator(t)
  put('cio-api-key-v2', NEW)
  cio.trackKeys.clear()
  cio.trackKeys.set(`site:${NEW}`, 4711)
  t.match(await rotate({ oldRevoked: true }), { outcome: 'done' })
  t.equal(kept()['cio-api-key'], NEW)
})
