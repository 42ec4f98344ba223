import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { postText, sendRaw } from '../helpers/raw-http.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService, type TestService } from '../helpers/service.ts'
import { signV0 } from '../helpers/sign.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())

const LISTED = '127.0.0.2'
const UNLISTED = '127.0.0.3'
const PROXY = '127.0.0.9'
const MIB = 1024 * 1024

let prefixes = 0
async function start(t: Test, env: Record<string, string> = {}): Promise<TestService> {
  const service = await startTestService({
    REDIS_URL: redis.url,
    CIO_KEY_PREFIX: `u${++prefixes}:`,
    CIO_ALLOWED_IPS: LISTED,
    TRUSTED_PROXIES: PROXY,
    ...env
  })
  t.teardown(() => service.close())
  return service
}
let ids = 0
const newBody = (bytes = 0): string => `{"event_id":"unlisted-${++ids}","pad":"${'x'.repeat(bytes)}"}`
const head = (bytes: number, headers: Record<string, string> = {}): Buffer =>
  postText('', { 'content-length': String(bytes), ...headers })

async function outcomes(service: TestService): Promise<Record<string, number>> {
  const text = await (await fetch(`${service.url}/metrics`)).text()
  const lines = text.matchAll(/^cio_deliveries_total\{source="default",outcome="(\w+)"\} (\d+)$/gm)
  return Object.fromEntries(
    [...lines].flatMap(([, outcome = '', n]) => (n === '0' ? [] : [[outcome, Number(n)]]))
  )
}
const deliver = async (service: TestService, localAddress: string, body = newBody()): Promise<number> =>
  (await sendRaw(service.port, postText(body, signV0(body)), { localAddress })).status

t.test('a port in x-forwarded-for changes neither the address nor its limit', async t => {
  const service = await start(t, { CIO_ALLOWED_IPS: '35.188.196.183,2001:db8:1::/48', RATE_LIMIT_MAX: '3' })
  const through = async (forwarded: string, signed = true): Promise<number> => {
    const body = newBody()
    const headers = { ...(signed ? signV0(body) : {}), 'x-forwarded-for': forwarded }
    return (await sendRaw(service.port, postText(body, headers), { localAddress: PROXY })).status
  }
  for (const forwarded of [
    '35.188.196.183:61598',
    `35.188.196.183, ${PROXY}:5555`,
    `35.188.196.183:1, "${PROXY}:5555", [::ffff:${PROXY}]:80`,
    '[2001:db8:1::5]:443',
    '"[2001:db8:1::5]:443"',
    '2001:DB8:1:0::5'
  ]) {
    t.equal(await through(forwarded), 200, forwarded)
  }
  t.equal(service.logLines().findLast(line => line['msg'] === 'delivery')?.['address'], '2001:db8:1::5')
  const statuses = []
  for (let port = 1; port < 6; port++) statuses.push(await through(`203.0.113.51:${port}`, false))
  t.same(statuses, [403, 403, 403, 429, 429])
  const network = []
  for (let host = 1; host < 6; host++) network.push(await through(`[2001:db8:2::${host}]:443`, false))
  t.same(network, [403, 403, 403, 429, 429], 'an IPv6 network of /64 is one caller')
})

t.test('a body that an address may not deliver is refused before it is read, and counted', async t => {
  const service = await start(t, { RATE_LIMIT_MAX: '4' })
  const refused = async (text: Buffer): Promise<readonly [number, string | undefined]> => {
    const answer = await sendRaw(service.port, text, { localAddress: UNLISTED })
    return [answer.status, /^connection: .*$/im.exec(answer.head)?.[0]]
  }
  t.same(await refused(head(5 * MIB)), [403, 'connection: close'], 'the largest body there is')
  t.same(await refused(head(129 * 1024)), [403, 'connection: close'])
  t.same(await refused(head(6 * MIB)), [413, 'connection: close'], 'larger than any')
  t.equal(await deliver(service, UNLISTED), 403, 'a small one is read')
  t.same(await refused(head(5 * MIB)), [403, 'connection: close'])
  t.same(await refused(head(5 * MIB)), [429, 'connection: close'])
  t.same(await refused(head(2)), [429, 'connection: close'])
  t.equal(await deliver(service, LISTED, newBody(MIB)), 200, 'a listed address is not concerned')
  t.same(await outcomes(service), { accepted: 1, source_forbidden: 1, aborted: 4, rate_limited: 2 })
})

t.test('bodies that never end count as failed attempts, and raise no alert', async t => {
  const service = await start(t, { RATE_LIMIT_MAX: '3' })
  const slow = await Promise.all(
    [1, 2].map(() => sendRaw(service.port, [head(100), '{'], { localAddress: UNLISTED }))
  )
  t.same(
    slow.map(({ status }) => status),
    [408, 408]
  )
  t.match(JSON.parse(slow[0]?.body ?? ''), { error: String, code: 'CIO_REQUEST_TIMEOUT' })
  const abort = connect({ port: service.port, host: '127.0.0.1', localAddress: UNLISTED })
  abort.write(Buffer.concat([head(100), Buffer.from('{')]), () =>
    setTimeout(() => abort.resetAndDestroy(), 50)
  )
  await until('the abort', async () => ((await outcomes(service))['aborted'] ?? 0) === 3)
  const fourth = await sendRaw(service.port, head(10), { localAddress: UNLISTED })
  t.equal(fourth.status, 429, 'one too many')
  const fifth = await sendRaw(service.port, head(10), { localAddress: UNLISTED, silenceMs: 1000 })
  t.equal(fifth.status, 429, 'not even read')
  t.same(await outcomes(service), { aborted: 3, rate_limited: 2 })
})

/** How long the service reads on, and discards what comes, after it has answered 403. */
function readsOnMs({ port }: TestService): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: UNLISTED, allowHalfOpen: true })
    let answeredMs: number | undefined
    const sending = setInterval(() => socket.write('x'.repeat(1000)), 10)
    socket.on('data', () => {
      answeredMs ??= performance.now()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearInterval(sending)
      if (answeredMs === undefined) reject(new Error('no answer'))
      else resolve(performance.now() - answeredMs)
    })
    socket.write(head(5 * MIB))
  })
}

t.test('a sender that is refused gets its answer, also after others have aborted', async t => {
  const service = await start(t, { RATE_LIMIT_MAX: '1000' })
  t.ok((await readsOnMs(service)) > 400)
  for (let n = 1; n <= 10; n++) {
    const abort = connect({ port: service.port, host: '127.0.0.1', localAddress: UNLISTED })
    abort.write(Buffer.concat([head(100), Buffer.from('{')]), () =>
      setTimeout(() => abort.resetAndDestroy(), 20)
    )
    await until('the abort', async () => ((await outcomes(service))['aborted'] ?? 0) === n + 1)
  }
  t.ok((await readsOnMs(service)) > 400)
})

for (const [policy, env] of [
  ['any address is allowed', { CIO_ALLOWED_IPS: '*' }],
  ['the policy only reports', { CIO_IP_POLICY: 'report' }]
] as const) {
  t.test(`where ${policy}, one that is on no list can't raise the alert either`, async t => {
    const service = await start(t, env)
    const slow = await sendRaw(service.port, [head(100), '{'], { localAddress: UNLISTED })
    t.equal(slow.status, 503, 'it may be authentic')
    t.equal((await sendRaw(service.port, head(6 * MIB), { localAddress: UNLISTED })).status, 413)
    t.equal(await deliver(service, UNLISTED), 200)
    t.same(await outcomes(service), { aborted: 2, accepted: 1 })
  })
}

t.test('unfinished bodies of unlisted addresses make way for others', async t => {
  const service = await start(t, { CIO_ALLOWED_IPS: '*' })
  const sockets = new Set<Socket>()
  let isFilling = true
  t.teardown(() => {
    isFilling = false
    for (const socket of sockets) socket.destroy()
  })
  const statuses = new Set<number>()
  const text = Buffer.concat([head(5 * MIB), Buffer.alloc(5 * MIB - 1, 'x')])
  /** Sends it again after a 503: on a busy machine the deadline of the first can pass before the last is there. */
  const sendUnfinished = (localAddress: string): void => {
    const socket = connect({ port: service.port, host: '127.0.0.1', localAddress })
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', data => {
      statuses.add(Number(data.toString('latin1', 9, 12)))
      if (isFilling) socket.destroy()
    })
    socket.on('close', () => {
      sockets.delete(socket)
      if (isFilling) sendUnfinished(localAddress)
    })
    socket.write(text)
  }
  for (let n = 1; n <= 16; n++) sendUnfinished(`127.0.1.${n}`)
  await until('the first to make way', async () => service.logText().includes('"no_memory"'))
  isFilling = false
  t.equal(await deliver(service, UNLISTED), 200, 'a small one')
  t.equal(await deliver(service, UNLISTED, newBody(2 * MIB)), 200, 'a large one')
  t.equal(await deliver(service, LISTED, newBody(4 * MIB)), 200, 'a large one of a listed address')
  await until('its answer', async () => statuses.size > 0)
  t.same([...statuses], [503])
  t.notOk((await outcomes(service))['unavailable'])
})

t.test('a body in thousands of tiny pieces is cut off', async t => {
  const service = await start(t)
  const answer = sendRaw(
    service.port,
    postText('1\r\nx\r\n'.repeat(50_000), { 'transfer-encoding': 'chunked' }),
    { localAddress: UNLISTED }
  )
  await t.rejects(answer)
  await until('its outcome', async () => (await outcomes(service))['aborted'] === 1)
  const body = newBody()
  const inBytes = `${[...body].map(character => `1\r\n${character}\r\n`).join('')}0\r\n\r\n`
  const chunked = postText(inBytes, { ...signV0(body), 'transfer-encoding': 'chunked' })
  t.equal((await sendRaw(service.port, chunked, { localAddress: LISTED })).status, 200)
})

t.test(
  'an authentic delivery refused because of its address is logged once a minute, with the variable to set',
  async t => {
    const service = await start(t, { TRUSTED_PROXIES: PROXY, CIO_ALLOWED_IPS: '35.188.196.183' })
    const advice = () => service.logLines().filter(line => line['variable'] !== undefined)
    const forwarded = async (): Promise<number> => {
      const body = newBody()
      const headers = { ...signV0(body), 'x-forwarded-for': '35.188.196.183' }
      return (await sendRaw(service.port, postText(body, headers), { localAddress: '127.0.0.4' })).status
    }
    t.equal(await forwarded(), 403)
    t.equal(await forwarded(), 403)
    t.match(advice(), [
      { level: 'warn', variable: 'TRUSTED_PROXIES', proxy: '127.0.0.4', msg: /127\.0\.0\.4.*TRUSTED_PROXIES/ }
    ])
    t.equal(advice().length, 1)
    const direct = await start(t, { CIO_ALLOWED_IPS: LISTED })
    t.equal(await deliver(direct, UNLISTED), 403)
    const [line] = direct.logLines().filter(line => line['variable'] !== undefined)
    t.match(line, { level: 'warn', variable: 'CIO_ALLOWED_IPS', address: UNLISTED })
  }
)

t.test('in production a warning says that TRUSTED_PROXIES is not set', async t => {
  const env = { REDIS_URL: redis.url, NODE_ENV: 'production', SHUTDOWN_DELAY_SECONDS: '0' }
  const missing = await startTestService(env)
  const given = await startTestService({ ...env, TRUSTED_PROXIES: PROXY })
  t.teardown(() => Promise.all([missing.close(), given.close()]))
  t.match(missing.logText(), /TRUSTED_PROXIES is not set/)
  t.notMatch(given.logText(), /TRUSTED_PROXIES/)
})
