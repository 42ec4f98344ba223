import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { usageKeys } from '../../../src/receive/key-usage-reporter.ts'
import { Secret } from '../../../src/secret.ts'
import { fileSecret } from '../../../src/settings/secrets/file.ts'
import { readReplicaKeys } from '../../../src/tools/rotate/replica-keys.ts'
import { rotationRecord } from '../../../src/tools/rotate/state.ts'
import { webhookKeyStatus } from '../../../src/tools/rotate/status.ts'
import { finishWebhookKey, rotateWebhookKey } from '../../../src/tools/rotate/webhook-key.ts'
import { startRedis } from '../../helpers/redis.ts'
import { temporaryFolder } from '../../helpers/server.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())

const keys = usageKeys('cio:')
const [OLD, NEW] = [new Secret('old-key'), new Secret('new-key')]

/** A key file with the new key beside it, and a Redis in which the test writes what replicas report. */
async function operator(t: Test, { withRedis = true, sealed = 0 } = {}) {
  await redis.client.flushall()
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'data'))
  const path = join(folder, 'key')
  writeFileSync(path, OLD.reveal())
  writeFileSync(`${path}-v2`, NEW.reveal())
  const signingKey = fileSecret({ path, previousPath: undefined })
  const newKey = {
    name: 'cio-webhook-secret-v2',
    handle: fileSecret({ path: `${path}-v2`, previousPath: undefined })
  }
  const rotation = {
    source: 'default',
    signingKey,
    record: rotationRecord(join(folder, 'data')),
    redis: withRedis
      ? { readKeys: () => readReplicaKeys(redis.client, 'cio:', 'default'), countSealed: async () => sealed }
      : { problem: 'cannot reach Redis at nowhere:6379' },
    now: () => new Date()
  }
  const options = { newKey, quietSeconds: 60, waitMs: 0, dryRun: false }
  return {
    path,
    rotation,
    rotate: (dryRun = false) => rotateWebhookKey(rotation, { ...options, dryRun }),
    finish: (given: { force?: boolean; dryRun?: boolean } = {}) =>
      finishWebhookKey(rotation, { ...options, force: false, ...given }),
    held: async () => {
      const { current, previous } = await signingKey.versions()
      return [current?.reveal(), previous?.reveal()]
    }
  }
}

const report = (replica: string, held: readonly Secret[], ageMs = 0) =>
  redis.client.hset(
    keys.replicas,
    replica,
    JSON.stringify({ at: Date.now() - ageMs, sources: { default: held.map(key => key.id) } })
  )
const saw = async (key: Secret, secondsAgo: number): Promise<void> => {
  await redis.client.hset(keys.seen, `default:${key.id}`, Date.now() - secondsAgo * 1000)
  await redis.client.hincrby(keys.count, `default:${key.id}`, 1)
}

t.test('a new key with stray characters is not put into use', async t => {
  const { path, rotate, held } = await operator(t)
  writeFileSync(`${path}-v2`, '"new-key"')
  const { outcome, steps } = await rotate()
  t.equal(outcome, 'failed')
  t.match(steps.at(-1), { detail: /the new key can't be right: it begins with a quotation mark/ })
  t.same(await held(), ['old-key', undefined])
})

t.test('a new key is put beside the old one, and the command waits for every living replica', async t => {
  const { rotate, held } = await operator(t)
  t.match(await rotate(true), { outcome: 'would_do' })
  t.same(await held(), ['old-key', undefined])

  t.match(await rotate(), { outcome: 'failed', next: [/No replica reports/] })
  t.same(await held(), ['new-key', 'old-key'], 'the switch itself is done, and safe')
  await report('one', [NEW, OLD])
  await report('other', [OLD])
  await report('dead', [OLD], 120_000)
  t.match(await rotate(), { outcome: 'failed', next: [/Not yet: other/, /Do not let Customer.io/] })
  await report('other', [OLD], 45_000)
  t.match(
    await rotate(),
    { outcome: 'failed', next: [/Not yet: other/] },
    'a silent replica may only be busy'
  )
  await report('other', [NEW, OLD])
  t.match(await rotate(), { outcome: 'nothing_to_do' }, 'it continues from there')
  t.same(await held(), ['new-key', 'old-key'])
})

t.test('the old key is retired when the new one was seen, and the old one not for long enough', async t => {
  const { rotate, finish, held, rotation } = await operator(t)
  await report('one', [NEW, OLD])
  t.match(await rotate(), { outcome: 'done' })
  const due = async () => (await webhookKeyStatus(rotation, 60))?.due

  t.match(await finish(), { outcome: 'failed', steps: [{ detail: /no delivery with the new key/ }] })
  await saw(OLD, 10)
  await saw(NEW, 0)
  t.match(await finish(), {
    outcome: 'failed',
    steps: [{ detail: /was last seen 1\d s ago, required are 60 s/ }]
  })
  t.equal(await due(), false)
  t.same(await held(), ['new-key', 'old-key'])

  await saw(OLD, 61)
  t.equal(await due(), true)
  t.match(await finish({ dryRun: true }), { outcome: 'would_do' })
  t.same(await held(), ['new-key', 'old-key'])
  await report('one', [NEW])
  t.match(await finish(), { outcome: 'done' })
  t.same(await held(), ['new-key', undefined])
  t.match(await finish(), { outcome: 'nothing_to_do' }, 'run twice')
  t.equal(await due(), false)
})

t.test('--now retires a key that is still in use', async t => {
  const { rotate, finish, held } = await operator(t)
  await report('one', [NEW, OLD])
  await rotate()
  await saw(OLD, 0)
  const done = await finish({ force: true })
  t.match(done, { outcome: 'done' })
  t.match(done.steps.at(-1), { detail: '1 still take the old key' })
  t.same(await held(), ['new-key', undefined])
})

t.test('without Redis the key is switched, but the old one is retired only with --now', async t => {
  const { rotate, finish, held } = await operator(t, { withRedis: false })
  t.match(await rotate(), {
    outcome: 'done',
    steps: [{}, {}, {}, {}, {}, { detail: /cannot reach Redis at nowhere:6379; check that each replica/ }]
  })
  t.match(await finish(), { outcome: 'impossible' })
  t.same(await held(), ['new-key', 'old-key'])
})

t.test('status without Redis says why it knows nothing about deliveries', async t => {
  const { rotate, rotation } = await operator(t, { withRedis: false })
  await rotate()
  t.match(await webhookKeyStatus(rotation, 60), {
    due: false,
    seen: [],
    problem: 'cannot reach Redis at nowhere:6379'
  })
})

t.test('finish warns of parked deliveries that are sealed with the old key', async t => {
  const { rotate, finish } = await operator(t, { sealed: 3 })
  await report('one', [NEW, OLD])
  await rotate()
  const warning = { step: 'check the parked deliveries', detail: /WARNING: 3 sealed with the old key/ }
  t.match(await finish({ force: true, dryRun: true }), {
    steps: [warning],
    next: [/^Keep a copy of/, /without --dry-run\.$/]
  })
  t.match(await finish({ force: true }), { outcome: 'done', steps: [warning], next: [/^Keep a copy of/] })
})

t.test('a second rotation before the first is finished, and a missing new key, change nothing', async t => {
  const { rotate, held, path } = await operator(t)
  await report('one', [NEW, OLD])
  await rotate()
  writeFileSync(`${path}-v2`, 'a third')
  t.match(await rotate(), { outcome: 'failed', steps: [{}, {}, { detail: /is not retired yet/ }] })
  rmSync(`${path}-v2`)
  t.match(await rotate(), { outcome: 'impossible', steps: [{}, { detail: /nothing at/ }] })
  t.same(await held(), ['new-key', 'old-key'])
})
