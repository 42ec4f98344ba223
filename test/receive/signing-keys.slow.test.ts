import { existsSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createLogger } from '../../src/ops/logger.ts'
import { watchSigningKeys } from '../../src/receive/signing-keys.ts'
import { basic } from '../../src/sanitize/policy.ts'
import { compileSanitizer } from '../../src/sanitize/sanitize.ts'
import { Secret } from '../../src/secret.ts'
import type { SecretVersions } from '../../src/settings/secrets/secret-handle.ts'
import { DEFAULT_SCHEMES, type Source, signingKeys } from '../../src/settings/sources.ts'
import { mountSecret } from '../helpers/mount.ts'
import { startRedis } from '../helpers/redis.ts'
import { temporaryFolder, until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { signV0 } from '../helpers/sign.ts'

// The tests mostly wait.
t.jobs = 4

const redis = await startRedis()
t.teardown(() => redis.stop())

function folderFor(t: Test): string {
  const folder = temporaryFolder()
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The service with the given variables, and its answer to a delivery signed with a key. */
async function serving(t: Test, env: Record<string, string>) {
  const service = await startTestService({ REDIS_URL: redis.url, ...env })
  t.teardown(() => service.close())
  return {
    ...service,
    signedBy: async (key: string, path?: string): Promise<number> => {
      const body = JSON.stringify({ event_id: Math.random().toString() })
      return (await service.post(body, signV0(body, key), path)).status
    }
  }
}

t.test('a new key file is applied, and the old key stays until its file is removed', async t => {
  const path = join(folderFor(t), 'key')
  writeFileSync(path, 'one\n')
  const service = await serving(t, { CIO_WEBHOOK_SECRET_FILE: path })
  t.same([await service.signedBy('one'), await service.signedBy('two')], [200, 401])

  writeFileSync(path, 'two\n')
  await until('the new key', async () => (await service.signedBy('two')) === 200)
  t.equal(await service.signedBy('one'), 200)
  await until('the old key is kept', async () => existsSync(`${path}.previous`))
  const metrics = await (await fetch(`${service.url}/metrics`)).text()
  t.match(metrics, /cio_signature_key_total\{source="default",key="previous"\} 1\n/)

  const restarted = await serving(t, { CIO_WEBHOOK_SECRET_FILE: path })
  t.same([await restarted.signedBy('one'), await restarted.signedBy('two')], [200, 200], 'a restart knows it')

  rmSync(`${path}.previous`)
  await until('the old key is refused', async () => (await service.signedBy('one')) === 401)
  t.equal(await service.signedBy('two'), 200)
  t.notMatch(service.logText(), /"(one|two)"/)
  t.match(service.logText(), /the signing keys of a source have changed/)
})

t.test('a swapped Kubernetes mount is applied; its old key is kept in memory, with a warning', async t => {
  const folder = folderFor(t)
  mountSecret(folder, '..a', 'one')
  symlinkSync(join('..data', 'key'), join(folder, 'key'))
  const service = await serving(t, { CIO_WEBHOOK_SECRET_FILE: join(folder, 'key') })
  mountSecret(folder, '..b', 'two')
  await until('the new key', async () => (await service.signedBy('two')) === 200)
  t.equal(await service.signedBy('one'), 200)
  await until('the warning', async () => service.logText().includes('accepted until this process ends'))
})

t.test('an emptied or removed key file leaves the last key in use, and is logged once', async t => {
  const path = join(folderFor(t), 'key')
  writeFileSync(path, 'one')
  const service = await serving(t, { CIO_WEBHOOK_SECRET_FILE: path })
  const reports = () => service.logText().split('cannot re-read a signing key').length - 1
  truncateSync(path)
  await until('the log line', async () => reports() === 1)
  rmSync(path)
  t.equal(await service.signedBy('one'), 200)
  writeFileSync(path, 'two')
  await until('the new key', async () => (await service.signedBy('two')) === 200)
  t.equal(await service.signedBy('one'), 200)
  t.equal(reports(), 1)
})

t.test('a key file that gets stray characters does not replace a good key, and the log says why', async t => {
  const path = join(folderFor(t), 'key')
  writeFileSync(path, 'one')
  const service = await serving(t, { CIO_WEBHOOK_SECRET_FILE: path, RATE_LIMIT_MAX: '100000' })
  for (const [text, reason] of [
    ['"two"', 'begins with a quotation mark'],
    [Buffer.from('\ufefftwo', 'utf16le'), 'UTF-16']
  ] as const) {
    writeFileSync(path, text)
    await until('the log line', async () => service.logText().includes(reason))
    t.same([await service.signedBy('one'), await service.signedBy('two')], [200, 401])
    t.equal(await service.signedBy('"two"'), 401)
  }
  writeFileSync(`${path}.previous`, 'zero')
  writeFileSync(path, 'one')
  await until('a good previous key', async () => (await service.signedBy('zero')) === 200)
  writeFileSync(`${path}.previous`, ' zero ')
  await until('the log line about the previous key', async () =>
    service.logText().includes('the previous key: it begins')
  )
  writeFileSync(path, 'three')
  await until('a good key beside it', async () => (await service.signedBy('three')) === 200)
  t.same(
    [await service.signedBy('zero'), await service.signedBy(' zero ')],
    [200, 401],
    'the previous one stays'
  )
})

t.test('the key file of a further source is watched too', async t => {
  const folder = folderFor(t)
  const [path, sources] = [join(folder, 'key'), join(folder, 'sources.json')]
  writeFileSync(path, 'one')
  writeFileSync(sources, JSON.stringify({ sources: [{ name: 'crm', secretFile: path }] }))
  const service = await serving(t, { CIO_SOURCES_FILE: sources, CIO_WEBHOOK_SECRET: 'main' })
  writeFileSync(path, 'two')
  const signedBy = (key: string) => service.signedBy(key, '/api/cio/webhook/crm')
  await until('the new key', async () => (await signedBy('two')) === 200)
  t.same([await signedBy('one'), await signedBy('main')], [200, 401])
})

/** A source whose store has these current and previous keys, one reading after the other; the last one stays. */
function watching(readings: [current: string, previous?: string][], kept: string[] = []) {
  const source: Source = {
    name: 'default',
    keys: signingKeys('one', undefined),
    schemes: DEFAULT_SCHEMES,
    idPointer: undefined,
    idHeader: undefined,
    policy: 'basic',
    sanitizer: compileSanitizer(basic)
  }
  const live = watchSigningKeys({
    sources: new Map([['default', source]]),
    secrets: {
      find: () => ({
        place: 'a file',
        refreshMs: 1000,
        versions: async (): Promise<SecretVersions> => {
          const [current = '', previous] = (readings.length > 1 ? readings.shift() : readings[0]) ?? []
          return {
            current: new Secret(current),
            previous: previous === undefined ? undefined : new Secret(previous),
            pending: undefined
          }
        },
        promote: async () => {},
        forgetPrevious: async () => {},
        keepPrevious: async value => kept.push(value.reveal()) > 0
      })
    },
    log: createLogger('silent').log,
    onChange: () => {}
  })
  const held = () => live.sources.get('default')?.keys.map(key => key.secret.reveal())
  return { refresh: live.refresh, held }
}

t.test('a half-written key is not applied', async t => {
  const kept: string[] = []
  const { refresh, held } = watching(
    [['one'], ['two-is-lon'], ['two-is-longer'], ['two-is-longer'], ['two-is-longer']],
    kept
  )
  await refresh()
  await refresh()
  t.same(held(), ['one'], 'two readings that differ')
  await refresh()
  t.same(held(), ['two-is-longer', 'one'])
  t.same(kept, ['one'])
})

t.test('a previous key whose file is empty for a moment, while it is rewritten, stays accepted', async t => {
  const { refresh, held } = watching([
    ['one', 'zero'],
    ['one'],
    ['one', 'zero'],
    ['one', 'zero'],
    ['one'],
    ['one']
  ])
  await refresh()
  t.same(held(), ['one', 'zero'])
  await refresh()
  t.same(held(), ['one', 'zero'], 'gone in one of two readings')
  await refresh()
  t.same(held(), ['one', 'zero'])
  await refresh()
  t.same(held(), ['one'], 'gone in both')
})

t.test('a missing file of the previous key does not abort the start', async t => {
  const path = join(folderFor(t), 'key')
  writeFileSync(path, 'one')
  const service = await serving(t, {
    CIO_WEBHOOK_SECRET_FILE: path,
    CIO_WEBHOOK_SECRET_PREVIOUS_FILE: `${path}.old`
  })
  t.equal(await service.signedBy('one'), 200)
  t.equal(readFileSync(path, 'utf8'), 'one')
})
