import t, { type Test } from 'tap'
import { postText, sendRaw } from '../helpers/raw-http.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService, type TestService } from '../helpers/service.ts'
import { type Headers, KEY, newBody, signBody, signCdp, signV0, unixNow } from '../helpers/sign.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())

const start = async (t: Test, env: Record<string, string> = {}): Promise<TestService> => {
  const service = await startTestService({ REDIS_URL: redis.url, CIO_KEY_PREFIX: `t${++prefixes}:`, ...env })
  t.teardown(() => service.close())
  return service
}
let prefixes = 0

/** A delivery from another loopback address. */
async function from(
  address: string,
  service: TestService,
  headers?: Headers,
  body = newBody(),
  path?: string
) {
  const signed = headers ?? signV0(body)
  const answer = await sendRaw(service.port, postText(body, signed, path), { localAddress: address })
  return { status: answer.status, code: JSON.parse(answer.body).code, head: answer.head }
}
const metric = async (service: TestService, name: string): Promise<number> => {
  const text = await (await fetch(`${service.url}/metrics`)).text()
  return Number(
    text
      .split('\n')
      .find(line => line.startsWith(`${name} `))
      ?.split(' ')[1] ?? Number.NaN
  )
}

t.test(
  'an address that is not on the list is refused with any signature, and valid ones are counted',
  async t => {
    const service = await start(t, { CIO_ALLOWED_IPS: '127.0.0.2' })
    t.equal((await from('127.0.0.2', service)).status, 200)
    t.match(await from('127.0.0.3', service), { status: 403, code: 'CIO_SOURCE_FORBIDDEN' })
    t.match(await from('127.0.0.3', service, {}), { status: 403, code: 'CIO_SOURCE_FORBIDDEN' })
    t.equal(await metric(service, 'cio_forbidden_but_authentic_total{source="default"}'), 1)
    t.equal(await metric(service, 'cio_deliveries_total{source="default",outcome="source_forbidden"}'), 2)
    t.equal(await redis.client.xlen(`t${prefixes}:events:{0}`), 1)
  }
)

t.test('in report mode an unlisted address is only counted', async t => {
  const service = await start(t, { CIO_ALLOWED_IPS: '127.0.0.2', CIO_IP_POLICY: 'report' })
  t.equal((await from('127.0.0.3', service)).status, 200)
  t.equal((await from('127.0.0.3', service, {})).status, 401)
  t.equal(await metric(service, 'cio_forbidden_but_authentic_total{source="default"}'), 1)
})

t.test('in production loopback is not an allowed source by default', async t => {
  const service = await start(t, { NODE_ENV: 'production', SHUTDOWN_DELAY_SECONDS: '0' })
  t.equal((await service.post(newBody())).status, 403)
})

t.test('x-forwarded-for counts from trusted proxies only, and a forged leftmost entry never', async t => {
  const listed = '35.188.196.183'
  const forwarded = (value: string | readonly string[]) => ({ 'x-forwarded-for': value })
  const untrusting = await start(t, { CIO_ALLOWED_IPS: listed })
  const trusting = await start(t, {
    CIO_ALLOWED_IPS: `${listed},2001:db8::/64`,
    TRUSTED_PROXIES: '127.0.0.2,127.0.0.3,10.0.0.0/8'
  })
  const rows: readonly (readonly [string, TestService, string, string | readonly string[], number])[] = [
    ['a header from an untrusted peer', untrusting, '127.0.0.2', listed, 403],
    ['a trusted proxy speaks for a listed address', trusting, '127.0.0.2', listed, 200],
    ['and for an IPv6 address', trusting, '127.0.0.2', '2001:db8::5', 200],
    ['two trusted proxies in a row', trusting, '127.0.0.2', `${listed}, 10.1.2.3`, 200],
    ['the same in two headers', trusting, '127.0.0.2', [listed, '10.1.2.3'], 200],
    ['a forged leftmost entry', trusting, '127.0.0.2', `${listed}, 192.0.2.66`, 403],
    [
      'a forged leftmost entry behind two proxies',
      trusting,
      '127.0.0.2',
      `${listed}, 192.0.2.66, 10.1.2.3`,
      403
    ],
    ['a forged header of its own', trusting, '127.0.0.2', [listed, '192.0.2.66'], 403],
    ['a forged entry that looks trusted', trusting, '127.0.0.2', `${listed}, 192.0.2.66, 10.0.0.1`, 403],
    ['a peer that is not a proxy', trusting, '127.0.0.4', listed, 403],
    ['garbage', trusting, '127.0.0.2', 'unknown', 403],
    ['garbage in front of garbage', trusting, '127.0.0.2', `${listed}, unknown`, 403],
    ['an empty header', trusting, '127.0.0.2', '', 403]
  ]
  for (const [name, service, peer, value, status] of rows) {
    const body = newBody()
    const text = postText(body, { ...signV0(body), ...forwarded(value) })
    t.equal((await sendRaw(service.port, text, { localAddress: peer })).status, status, name)
  }
  const addresses = trusting.logLines().map(line => line['address'])
  t.ok(addresses.includes(listed) && addresses.includes('192.0.2.66') && addresses.includes('unknown'))
})

t.test(
  'failures of an unlisted address are limited; an authentic delivery of an allowed one never is',
  async t => {
    const service = await start(t, { CIO_ALLOWED_IPS: '*', RATE_LIMIT_MAX: '3' })
    const statuses = []
    for (let n = 0; n < 5; n++) statuses.push((await from('127.0.0.5', service, {})).status)
    t.same(statuses, [401, 401, 401, 429, 429])
    const limited = await from('127.0.0.5', service, {})
    t.equal(limited.code, 'CIO_RATE_LIMITED')
    t.match(limited.head, /^retry-after: ([1-9]|[1-5]\d|60)$/m)
    t.equal((await from('127.0.0.5', service)).status, 200, 'authentic, from the same address')
    t.equal((await from('127.0.0.6', service, {})).status, 401, 'another address')
  }
)

t.test('failures of a listed address are never limited', async t => {
  const service = await start(t, { CIO_ALLOWED_IPS: '127.0.0.5', RATE_LIMIT_MAX: '1' })
  for (let n = 0; n < 5; n++) t.equal((await from('127.0.0.5', service, {})).status, 401)
  const proxied = await start(t, { CIO_ALLOWED_IPS: '*', RATE_LIMIT_MAX: '1', TRUSTED_PROXIES: '127.0.0.1' })
  for (let n = 0; n < 5; n++) {
    t.equal(
      (await from('127.0.0.1', proxied, { 'x-forwarded-for': '35.188.196.183' })).status,
      401,
      'published'
    )
  }
})

t.test(
  'an address that may not deliver is refused before its body is read once it has failed too often',
  async t => {
    const service = await start(t, { CIO_ALLOWED_IPS: '127.0.0.2', RATE_LIMIT_MAX: '2' })
    const statuses = []
    for (let n = 0; n < 4; n++) statuses.push((await from('127.0.0.9', service, {})).status)
    t.same(statuses, [403, 403, 429, 429])
    const unsent = `POST /api/cio/webhook HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n`
    t.equal((await sendRaw(service.port, unsent, { localAddress: '127.0.0.9', silenceMs: 1000 })).status, 429)
  }
)

t.test('the limit ends with its window', async t => {
  const service = await start(t, {
    CIO_ALLOWED_IPS: '*',
    RATE_LIMIT_MAX: '1',
    RATE_LIMIT_WINDOW_SECONDS: '1'
  })
  const status = async (): Promise<number> => (await from('127.0.0.7', service, {})).status
  t.equal(await status(), 401)
  // On a busy machine, the second of two failures can be in the next window.
  await until('the limit', async () => (await status()) === 429)
  await until('its end', async () => (await status()) === 401)
})

t.test('each source has its keys, its schemes and its ids', async t => {
  const folder = t.testdir({
    'sources.json': JSON.stringify({
      sources: [
        {
          name: 'campaigns',
          secret: 'campaign-key',
          secretPrevious: 'campaign-key-before',
          idPointer: '/message/id'
        },
        { name: 'pipelines', secret: 'cdp-key', schemes: ['cdp'] }
      ]
    })
  })
  const service = await start(t, {
    CIO_SOURCES_FILE: `${folder}/sources.json`,
    CIO_WEBHOOK_SECRET_PREVIOUS: 'key-before'
  })
  const campaigns = '/api/cio/webhook/campaigns'
  const pipelines = '/api/cio/webhook/pipelines'
  const body = '{"event_id":"shared","message":{"id":"m-1"}}'
  const rows: readonly (readonly [string, string, Headers, string, number, string?])[] = [
    ['the default source by its name', '/api/cio/webhook/default', signV0(body), body, 200, 'accepted'],
    ['the same without', '/api/cio/webhook', signV0(body), body, 200, 'duplicate'],
    [
      'the default source’s previous key',
      '/api/cio/webhook',
      signBody(body, 'key-before'),
      body,
      200,
      'duplicate'
    ],
    ['the same id from another source', campaigns, signV0(body, 'campaign-key'), body, 200, 'accepted'],
    ['its previous key', campaigns, signV0(body, 'campaign-key-before'), body, 200, 'duplicate'],
    ['the default source’s key', campaigns, signV0(body), body, 401],
    ['a source’s key at the default source', '/api/cio/webhook', signV0(body, 'campaign-key'), body, 401],
    ['cdp', pipelines, signCdp(body, 'cdp-key'), body, 200, 'accepted'],
    ['v0 where only cdp is', pipelines, signV0(body, 'cdp-key'), body, 401],
    ['cdp where only v0 and body are', campaigns, signCdp(body, 'campaign-key'), body, 401]
  ]
  for (const [name, path, headers, text, status, outcome] of rows) {
    const answer = await service.post(text, headers, path)
    t.equal(answer.status, status, name)
    if (outcome !== undefined) t.equal(answer.body['status'], outcome, name)
  }
  const pointed = '{"message":{"id":"m-2"},"n":1}'
  const first = await service.post(pointed, signV0(pointed, 'campaign-key', unixNow() - 5), campaigns)
  t.same(first.body, { status: 'accepted', id: 'm-2' }, 'the id that the pointer names')
  const other = '{"message":{"id":"m-2"},"n":2}'
  t.equal((await service.post(other, signV0(other, 'campaign-key'), campaigns)).body['status'], 'duplicate')
  t.equal(await metric(service, 'cio_signature_key_total{source="campaigns",key="previous"}'), 1)
  t.equal(await metric(service, 'cio_signature_key_total{source="default",key="previous"}'), 1)
  t.notMatch(service.logText(), new RegExp(`${KEY}|campaign-key|cdp-key`))
})
