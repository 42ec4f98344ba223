import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { signingKey } from '../../src/cli/signing-key.ts'
import { ConfigError } from '../../src/errors.ts'
import { loadConfig } from '../../src/settings/config.ts'
import { fileSecret } from '../../src/settings/secrets/file.ts'
import { providedValues } from '../../src/settings/secrets/provided-values.ts'

const STRAY = '"topsecret"'
const utf16 = Buffer.from('\ufefftopsecret\n', 'utf16le')
const production = { NODE_ENV: 'production', REDIS_URL: 'redis://r' }

function refusalOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return 'accepted'
}
const load = (env: Record<string, string>, key = 'k'): string =>
  refusalOf(() => loadConfig(env, { developmentKey: () => ({ key, created: false }) }))

t.test('a signing key with stray characters stops the start, which says where the key is', async t => {
  const folder = t.testdir({ quoted: `${STRAY}\n`, utf16, twice: 'topsecret\n\n', sources: '' })
  const [quoted, twice] = [join(folder, 'quoted'), join(folder, 'twice')]
  const sources = join(folder, 'sources')
  const withSource = (source: Record<string, string>): Record<string, string> => {
    writeFileSync(sources, JSON.stringify({ sources: [{ name: 'crm', ...source }] }))
    return { ...production, CIO_WEBHOOK_SECRET: 'k', CIO_SOURCES_FILE: sources }
  }
  const rows: readonly (readonly [() => Record<string, string>, string])[] = [
    [
      () => ({ ...production, CIO_WEBHOOK_SECRET: STRAY }),
      'CIO_WEBHOOK_SECRET is not allowed: it begins with a quotation mark; give the signing key alone, as Customer.io shows it'
    ],
    [
      () => ({ ...production, CIO_WEBHOOK_SECRET: 'topsecret\\n' }),
      'CIO_WEBHOOK_SECRET is not allowed: it ends with a backslash'
    ],
    [
      () => ({ ...production, CIO_WEBHOOK_SECRET: 'k', CIO_WEBHOOK_SECRET_PREVIOUS: ' topsecret' }),
      'CIO_WEBHOOK_SECRET_PREVIOUS is not allowed: it begins with white space'
    ],
    [
      () => ({ ...production, CIO_WEBHOOK_SECRET_FILE: quoted }),
      `CIO_WEBHOOK_SECRET_FILE=${quoted} is not allowed: it begins with a quotation mark`
    ],
    [
      () => ({ ...production, CIO_WEBHOOK_SECRET_FILE: join(folder, 'utf16') }),
      `CIO_WEBHOOK_SECRET_FILE=${join(folder, 'utf16')} is not allowed: it is encoded in UTF-16`
    ],
    [
      () => ({ ...production, CIO_WEBHOOK_SECRET: 'k', CIO_WEBHOOK_SECRET_PREVIOUS_FILE: twice }),
      `CIO_WEBHOOK_SECRET_PREVIOUS_FILE=${twice} is not allowed: it ends with a line break`
    ],
    [
      () => withSource({ secret: STRAY }),
      `CIO_SOURCES_FILE=${sources}: line 1: sources.0.secret: it begins with a quotation mark`
    ],
    [
      () => withSource({ secret: 'k', secretPrevious: 'topsecret\n' }),
      `CIO_SOURCES_FILE=${sources}: line 1: sources.0.secretPrevious: it ends with a line break`
    ],
    [
      () => withSource({ secretFile: quoted }),
      `CIO_SOURCES_FILE=${sources}: crm: secretFile=${quoted} is not allowed: it begins with a quotation mark`
    ],
    [
      () => withSource({ secret: 'k', secretPreviousFile: twice }),
      `CIO_SOURCES_FILE=${sources}: crm: secretPreviousFile=${twice} is not allowed: it ends with a line break`
    ]
  ]
  for (const [env, expected] of rows) {
    const message = load(env())
    t.equal(message.slice(0, expected.length), expected)
    t.notMatch(message, /topsecret|\n/, 'one line, without the key')
  }
  t.match(load({ DATA_DIR: '/data' }, STRAY), /^the development key in DATA_DIR=\/data is not allowed/)
  t.equal(
    load({ ...production, CIO_WEBHOOK_SECRET_FILE: join(t.testdirName, 'one') }).includes('ENOENT'),
    true
  )
})

t.test('the line break that an editor leaves at the end of a file is no stray character', async t => {
  const folder = t.testdir({ unix: 'topsecret\n', windows: 'topsecret\r\n', none: 'topsecret' })
  for (const name of ['unix', 'windows', 'none']) {
    t.equal(load({ ...production, CIO_WEBHOOK_SECRET_FILE: join(folder, name) }), 'accepted', name)
  }
})

t.test('a file with any secret in UTF-16 is refused', async t => {
  const path = join(t.testdir({ utf16 }), 'utf16')
  t.match(
    load({ ...production, CIO_WEBHOOK_SECRET: 'k', PII_HASH_KEY_FILE: path }),
    /^PII_HASH_KEY_FILE=.+ is not allowed: it is encoded in UTF-16/
  )
})

t.test('the commands that sign refuse such a key too', async t => {
  const path = join(t.testdir({ quoted: STRAY }), 'quoted')
  t.match(
    refusalOf(() => signingKey({ CIO_WEBHOOK_SECRET: STRAY }, 'default')),
    /^CIO_WEBHOOK_SECRET is not/
  )
  t.match(
    refusalOf(() => signingKey({ CIO_WEBHOOK_SECRET_FILE: path }, 'default')),
    /^CIO_WEBHOOK_SECRET_FILE=.+ is not allowed: it begins with a quotation mark/
  )
})

t.test('a signing key from the secrets provider is refused with its place', async t => {
  const path = join(t.testdir({ quoted: STRAY }), 'quoted')
  const provider = { secret: () => fileSecret({ path, previousPath: undefined }), close: () => {} }
  await t.rejects(providedValues({ provider: 'aws', places: new Map() }, provider), {
    name: 'ConfigError',
    message: `CIO_WEBHOOK_SECRET: the file ${path} is not allowed: it begins with a quotation mark; give the signing key alone, as Customer.io shows it`
  })
})
