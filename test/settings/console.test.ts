import t from 'tap'
import { loadSettings } from '../../src/settings/config.ts'

const load = async (env: Record<string, string>) => (await loadSettings(env, ['console'])).console
const PASSWORD = 'twelve chars'
const PROXY = { CONSOLE_IDENTITY_HEADER: 'X-User', TRUSTED_PROXIES: '10.0.0.1' }
const production = { NODE_ENV: 'production', CONSOLE_PORT: '3100' }

t.test('the console is off in production and on port 3100 in development, for this machine only', async t => {
  t.equal(await load({ NODE_ENV: 'production' }), undefined)
  t.match(await load({}), { port: 3100, isPortChosen: false, host: '127.0.0.1', access: { kind: 'open' } })
  t.match(await load({ CONSOLE_PORT: '4000' }), { port: 4000, isPortChosen: true })
})

t.test('access is by password or by proxy', async t => {
  const { access, apiToken } =
    (await load({ ...production, CONSOLE_PASSWORD: PASSWORD, CONSOLE_API_TOKEN: 'a token for machines' })) ??
    {}
  t.match(access, { kind: 'password', viewer: undefined })
  t.equal(apiToken?.reveal(), 'a token for machines')
  const proxy = await load({ ...production, ...PROXY, CONSOLE_OPERATORS: 'Ada@example.com, bob' })
  t.same(proxy?.access, { kind: 'proxy', header: 'x-user', operators: ['ada@example.com', 'bob'] })
})

t.test('settings that would leave the console open stop the start, with what to set', async t => {
  const refused: readonly (readonly [Record<string, string>, RegExp])[] = [
    [
      production,
      /without access control: set CONSOLE_PASSWORD or CONSOLE_PASSWORD_FILE .* or CONSOLE_IDENTITY_HEADER/
    ],
    [{ CONSOLE_HOST: '0.0.0.0' }, /without access control/],
    [{ CONSOLE_HOST: '::' }, /without access control/],
    [{ ...production, CONSOLE_IDENTITY_HEADER: 'x-user' }, /not allowed without TRUSTED_PROXIES/],
    [{ ...production, ...PROXY, CONSOLE_PASSWORD: PASSWORD }, /both set: unset one/],
    [{ ...production, CONSOLE_PASSWORD: PASSWORD, CONSOLE_VIEWER_PASSWORD: PASSWORD }, /are the same/],
    [{ ...production, CONSOLE_PASSWORD: 'eleven char' }, /CONSOLE_PASSWORD is not allowed: give 12 to 256/],
    [{ ...production, CONSOLE_PASSWORD: '' }, /CONSOLE_PASSWORD is set but empty/],
    [{ CONSOLE_URL: 'https://ops.example.com/console' }, /CONSOLE_URL=.* is not allowed: .* without a path/]
  ]
  for (const [env, message] of refused) {
    await t.rejects(load(env), { name: 'ConfigError', message }, JSON.stringify(env))
    await load(env).catch(error => t.notMatch(error.message, /eleven char|twelve/))
  }
})

t.test('the address of the console is that of a host, with or without a port', async t => {
  for (const url of [
    'https://console.example.com',
    'https://console.example.com:8443/',
    'http://[::1]:3100'
  ]) {
    t.equal((await load({ CONSOLE_URL: url }))?.url?.href, `${url.replace(/\/$/, '')}/`)
  }
  for (const url of [
    'https://ops.example.com/console',
    'https://a.example.com/?x',
    'https://a@b.example.com'
  ]) {
    await t.rejects(load({ CONSOLE_URL: url }), /without a path/, url)
  }
})
