import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import t from 'tap'
import { ConfigError } from '../../../src/errors.ts'
import { variables } from '../../../src/settings/variables.ts'
import { configuredSecrets } from '../../../src/tools/leaks/configured-secrets.ts'
import { temporaryFolder } from '../../helpers/server.ts'

const folder = temporaryFolder()
const none = { DATA_DIR: join(folder, 'none') }

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const read = async (env: Record<string, string>): Promise<Record<string, string>> =>
  Object.fromEntries(
    (await configuredSecrets({ ...none, ...env })).secrets.map(({ name, secret }) => [name, secret.reveal()])
  )

t.test('every variable that is a secret is looked for, given itself or as a file', async t => {
  const names = Object.entries(variables).flatMap(([name, { secret }]) => (secret ? [name] : []))
  t.ok(names.length > 3)
  for (const name of [...names, 'CIO_API_KEY', 'CIO_APP_API_KEY']) {
    t.strictSame(await read({ [name]: 'a-secret-of-mine' }), { [name]: 'a-secret-of-mine' })
    t.strictSame(await read({ [`${name}_FILE`]: file('mounted', 'a-mounted-secret\n') }), {
      [name]: 'a-mounted-secret'
    })
  }
})

t.test('of a URL the password alone is secret, as it is typed and as it is meant', async t => {
  t.strictSame(await read({ REDIS_URL: 'redis://127.0.0.1:6379/0' }), {})
  t.strictSame(await read({ REDIS_URL: 'redis://me:longpassword@127.0.0.1/0' }), {
    'REDIS_URL (password)': 'longpassword'
  })
  const { secrets } = await configuredSecrets({
    ...none,
    REDIS_URL: 'redis://me:long%2Fpassword@127.0.0.1/0'
  })
  t.strictSame(
    secrets.map(({ secret }) => secret.reveal()),
    ['long/password', 'long%2Fpassword']
  )
})

t.test('keys in the files of sources and consumers, and the development key, are looked for', async t => {
  const sources = file(
    'sources.json',
    JSON.stringify({
      sources: [
        { name: 'shop', secret: 'shop-secret-1', secretPreviousFile: file('previous', 'shop-secret-0\n') }
      ]
    })
  )
  const consumers = file(
    'consumers.json',
    JSON.stringify({
      consumers: [
        {
          name: 'crm',
          type: 'http',
          url: 'https://crm.internal/events',
          secret: 'whsec_c2VjcmV0LW9mLWNybQ=='
        },
        { name: 'erp', type: 'http', url: 'https://erp.internal/', secretFile: file('erp', 'secret-of-erp') },
        { name: 'bus', type: 'nats', servers: ['nats://me:natspassword@127.0.0.1:4222'] }
      ]
    })
  )
  mkdirSync(join(folder, 'data'))
  file('data/webhook_secret', 'made-for-development\n')
  t.strictSame(
    await read({ CIO_SOURCES_FILE: sources, CONSUMERS_FILE: consumers, DATA_DIR: join(folder, 'data') }),
    {
      'CIO_SOURCES_FILE:sources:0:secret': 'shop-secret-1',
      'CIO_SOURCES_FILE:sources:0:secretPreviousFile': 'shop-secret-0',
      'CONSUMERS_FILE:consumers:0:secret': 'c2VjcmV0LW9mLWNybQ==',
      'CONSUMERS_FILE:consumers:1:secretFile': 'secret-of-erp',
      'CONSUMERS_FILE:consumers:2:servers:0 (password)': 'natspassword',
      'DATA_DIR/webhook_secret': 'made-for-development'
    }
  )
})

t.test('while a key is being replaced, the one before and the next one are looked for too', async t => {
  const path = file('rotating', 'the-current-key')
  file('rotating.previous', 'the-previous-key')
  file('rotating.pending', 'the-pending-key')
  const values = await configuredSecrets({
    ...none,
    CIO_API_KEY_FILE: path,
    CIO_API_KEY_V2: 'the-key-to-come'
  })
  t.strictSame(
    values.secrets.map(({ secret }) => secret.reveal()),
    ['the-current-key', 'the-previous-key', 'the-pending-key', 'the-key-to-come']
  )
  t.strictSame(
    await read({ CIO_WEBHOOK_SECRET_PREVIOUS_FILE: join(folder, 'removed') }),
    {},
    'or is gone for good'
  )
})

t.test('one value under two names is one secret; a short one is named and left out', async t => {
  const { secrets, tooShort } = await configuredSecrets({
    ...none,
    CIO_WEBHOOK_SECRET: 'the-same-value',
    CIO_WEBHOOK_SECRET_PREVIOUS: 'the-same-value',
    PII_HASH_KEY: 'short'
  })
  t.strictSame(
    secrets.map(({ name }) => name),
    ['CIO_WEBHOOK_SECRET, CIO_WEBHOOK_SECRET_PREVIOUS']
  )
  t.strictSame(tooShort, ['PII_HASH_KEY'])
  t.notMatch(inspect(secrets), /the-same-value/)
})

t.test('a file that is named but not there is an error, not a secret less', async t => {
  for (const name of ['CIO_WEBHOOK_SECRET_FILE', 'CIO_SOURCES_FILE', 'CONSUMERS_FILE']) {
    await t.rejects(configuredSecrets({ ...none, [name]: join(folder, 'missing') }), ConfigError)
  }
})
