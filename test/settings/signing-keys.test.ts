import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../src/errors.ts'
import { Secret } from '../../src/secret.ts'
import { loadSettings, serviceNeeds } from '../../src/settings/config.ts'
import { fileSecret } from '../../src/settings/secrets/file.ts'
import { openSecrets } from '../../src/settings/secrets/open-secrets.ts'
import { signingKeyName } from '../../src/settings/sources.ts'

const STRAY = '"topsecret"'
const utf16 = Buffer.from('\ufefftopsecret\n', 'utf16le')
const production = { NODE_ENV: 'production', REDIS_URL: 'redis://r' }

async function refusalOf(act: Promise<unknown>): Promise<string> {
  try {
    await act
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return 'accepted'
}
const load = (env: Record<string, string>): Promise<string> => refusalOf(loadSettings(env, serviceNeeds))

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
    const message = await load(env())
    t.equal(message.slice(0, expected.length), expected)
    t.notMatch(message, /topsecret|\n/, 'one line, without the key')
  }
  writeFileSync(join(folder, 'webhook_secret'), STRAY)
  t.match(
    await load({ DATA_DIR: folder }),
    /^the development key in DATA_DIR=\S+ is not allowed: it begins with a quotation mark/
  )
  t.equal(
    await load({ ...production, CIO_WEBHOOK_SECRET_FILE: join(folder, 'one') }),
    `CIO_WEBHOOK_SECRET_FILE=${join(folder, 'one')}: the file is missing or empty`
  )
})

t.test('the line break at the end of a file is not a stray character', async t => {
  const folder = t.testdir({ unix: 'topsecret\n', windows: 'topsecret\r\n', none: 'topsecret' })
  for (const name of ['unix', 'windows', 'none']) {
    t.equal(await load({ ...production, CIO_WEBHOOK_SECRET_FILE: join(folder, name) }), 'accepted', name)
  }
})

t.test('a file with any secret in UTF-16 is refused', async t => {
  const path = join(t.testdir({ utf16 }), 'utf16')
  t.match(
    await load({ ...production, CIO_WEBHOOK_SECRET: 'k', PII_HASH_KEY_FILE: path }),
    /^PII_HASH_KEY_FILE=.+ is not allowed: it is encoded in UTF-16/
  )
})

t.test('the commands that sign refuse such a key too', async t => {
  const path = join(t.testdir({ quoted: STRAY }), 'quoted')
  const find = async (env: Record<string, string>) =>
    (await loadSettings(env, ['findSigningKey'])).findSigningKey('default')
  t.match(await refusalOf(find({ CIO_WEBHOOK_SECRET: STRAY })), /^CIO_WEBHOOK_SECRET is not/)
  t.match(
    await refusalOf(find({ CIO_WEBHOOK_SECRET_FILE: path })),
    /^CIO_WEBHOOK_SECRET_FILE=.+ is not allowed: it begins with a quotation mark/
  )
})

t.test('what the environment names comes before the provider, and a source key is no variable', async t => {
  const provider = {
    find: (name: string) => fileSecret({ path: `/provider/${name}`, previousPath: undefined }),
    close: () => {}
  }
  const env = {
    CIO_API_KEY: 'k',
    CIO_SITE_ID_FILE: '/mounted/site',
    CIO_API_KEY_V2: 'new',
    CIO_WEBHOOK_SECRET_PREVIOUS: 'previous',
    CIO_WEBHOOK_SECRET_CRM: 'not looked at'
  }
  const { find, sibling } = openSecrets({ env, provider, findKey: () => undefined })
  t.equal(find('cio-api-key')?.place, 'the environment variable CIO_API_KEY')
  t.equal(find('cio-site-id')?.place, 'the file /mounted/site')
  t.equal(find('cio-app-api-key')?.place, 'the file /provider/cio-app-api-key')
  for (const source of ['crm', 'previous']) {
    const name = `cio-webhook-secret-${source}`
    t.equal(find(name)?.place, `the file /provider/${name}`, 'a further source')
  }
  t.equal(sibling('cio-api-key', 'cio-api-key-v2')?.place, 'the environment variable CIO_API_KEY_V2')
  t.equal(sibling('cio-site-id', 'cio-site-id-v2')?.place, 'the file /mounted/cio-site-id-v2')
  t.equal(sibling('cio-app-api-key', 'new')?.place, 'the file /provider/new')
})

t.test('a previous key has its place apart from the current key, wherever both are', async t => {
  const folder = t.testdir({ current: 'new\n', previous: 'old\n' })
  const [current, previous] = [join(folder, 'current'), join(folder, 'previous')]
  const further = (keys: object): Record<string, string> => {
    const path = join(folder, 'sources.json')
    writeFileSync(path, JSON.stringify({ sources: [{ name: 'crm', ...keys }] }))
    return { CIO_WEBHOOK_SECRET: 'k', CIO_SOURCES_FILE: path }
  }
  const cases: readonly [source: string, env: () => Record<string, string>][] = [
    ['default', () => ({ CIO_WEBHOOK_SECRET_FILE: current, CIO_WEBHOOK_SECRET_PREVIOUS: 'old' })],
    ['default', () => ({ CIO_WEBHOOK_SECRET: 'new', CIO_WEBHOOK_SECRET_PREVIOUS_FILE: previous })],
    ['crm', () => further({ secretFile: current, secretPrevious: 'old' })],
    ['crm', () => further({ secret: 'new', secretPrevious: 'old' })],
    ['crm', () => further({ secret: 'new', secretPreviousFile: previous })]
  ]
  for (const [source, env] of cases) {
    const { describe, secrets } = await loadSettings({ ...production, ...env() }, ['describe'])
    const shown = (await describe()).secrets.find(({ name }) => name === `signing key of ${source}`)
    t.match(shown, { current: new Secret('new').id, previous: new Secret('old').id }, 'status shows it')
    const handle = secrets.find(signingKeyName(source))
    await t.rejects(
      async () => handle?.forgetPrevious(),
      { message: /^no command can change .+previous/i },
      'it is not retired silently'
    )
  }
})
