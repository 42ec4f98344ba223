import { connect } from 'node:net'
import t from 'tap'
import { parseAnswers } from '../fuzz/sockets/converse.ts'
import { postText, type RawAnswer, sendRaw } from '../helpers/raw-http.ts'
import { startRedis } from '../helpers/redis.ts'
import { startTestService } from '../helpers/service.ts'
import { newBody, signV0 } from '../helpers/sign.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const LISTED = '127.0.0.2'
const service = await startTestService({
  REDIS_URL: redis.url,
  CIO_ALLOWED_IPS: LISTED,
  TRUSTED_PROXIES: '127.0.0.9'
})
t.teardown(() => service.close())

const from = (localAddress: string, text: string | Buffer): Promise<RawAnswer> =>
  sendRaw(service.port, text, { localAddress })

/** All answers on one connection, until the peer closes it. */
function answersTo(text: string | Buffer, localAddress = LISTED): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect({ port: service.port, host: '127.0.0.1', localAddress })
    socket.on('error', reject)
    socket.on('data', chunk => {
      received += chunk
    })
    socket.on('close', () => resolve(parseAnswers(received).answers.map(({ status }) => status)))
    socket.write(text)
  })
}

t.test('what node:http would answer by itself is JSON with error and code too', async t => {
  const rows: readonly (readonly [string, string, number, string])[] = [
    ['no Host', 'GET /healthz HTTP/1.1\r\n\r\n', 400, 'CIO_BAD_REQUEST'],
    ['an HTTP/2 preface', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400, 'CIO_BAD_REQUEST'],
    ['a TLS greeting', '\u0016\u0003\u0001\u0002\u0000\u0001', 400, 'CIO_BAD_REQUEST'],
    ['CONNECT', 'CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n', 405, 'CIO_METHOD_NOT_ALLOWED'],
    [
      'too many bytes of headers',
      `GET / HTTP/1.1\r\nhost: x\r\na: ${'x'.repeat(17_000)}\r\n\r\n`,
      431,
      'CIO_HEADERS_TOO_LARGE'
    ],
    [
      'too many headers',
      `GET / HTTP/1.1\r\nhost: x\r\n${'a: 1\r\n'.repeat(1000)}\r\n`,
      431,
      'CIO_HEADERS_TOO_LARGE'
    ],
    ['half a head', 'GET /healthz HTTP/1.1\r\nhost: x\r\n', 408, 'CIO_REQUEST_TIMEOUT'],
    [
      'an expectation, to an unknown path',
      'GET / HTTP/1.1\r\nhost: x\r\nexpect: magic\r\n\r\n',
      404,
      'CIO_NOT_FOUND'
    ]
  ]
  for (const [name, text, status, code] of rows) {
    const answer = await from('127.0.0.3', text)
    t.match(
      { status: answer.status, body: JSON.parse(answer.body) },
      { status, body: { error: String, code } },
      name
    )
    t.match(answer.head, /^content-type: application\/json/m, name)
  }
})

t.test('headers are never dropped: up to 1,000 are seen, more are a 431', async t => {
  const forwarded = 'x-forwarded-for: 203.0.113.9\r\n'
  for (const [fillers, status] of [
    [0, 403],
    [900, 403],
    [1000, 431],
    [2000, 431]
  ] as const) {
    const filler = 'a: 1\r\n'.repeat(fillers)
    const body = newBody()
    const delivery = postText(body, signV0(body))
      .toString()
      .replace('\r\n\r\n', `\r\n${filler}${forwarded}\r\n`)
    t.equal((await from('127.0.0.9', delivery)).status, status, `a delivery after ${fillers} headers`)
    const metrics = `GET /metrics HTTP/1.1\r\nhost: x\r\n${filler}${forwarded}\r\n`
    t.equal((await from('127.0.0.9', metrics)).status, status, `/metrics after ${fillers} headers`)
    t.equal((await from('127.0.0.1', metrics)).status, status, `/metrics from an unknown proxy, ${fillers}`)
  }
  const twice = postText('{}', { ...signV0('{}'), 'x-forwarded-for': [LISTED, '203.0.113.9'] })
  t.equal((await from('127.0.0.9', twice)).status, 403, 'the last of repeated headers counts')
})

t.test('expectations neither stop a delivery nor request a body that is not read', async t => {
  for (const expect of ['100-continue', '100-Continue', 'magic', '200-ok, 100-continue']) {
    const body = newBody()
    t.equal((await from(LISTED, postText(body, { ...signV0(body), expect }))).status, 200, expect)
  }
  const large = { 'content-length': '5000000', expect: '100-continue' }
  const refused = await answersTo(postText('', large), '127.0.0.3')
  t.same(refused, [403], 'refused without 100, and the connection is closed')
})

t.test('a trailing slash makes no difference', async t => {
  const body = newBody()
  t.equal((await from(LISTED, postText(body, signV0(body), '/api/cio/webhook/'))).status, 200)
  t.equal((await from(LISTED, postText(body, signV0(body), '/api/cio/webhook/default/'))).status, 200)
  for (const path of ['/healthz/', '/readyz/', '/metrics/']) {
    t.equal((await from('127.0.0.1', `GET ${path} HTTP/1.1\r\nhost: x\r\n\r\n`)).status, 200, path)
  }
})

t.test('each request gets exactly one answer', async t => {
  const body = newBody()
  const delivery = postText(body, signV0(body))
  const close = Buffer.from('GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  t.same(await answersTo(Buffer.concat([delivery, delivery, close])), [200, 200, 200], 'pipelined')
  t.same(
    await answersTo(Buffer.concat([delivery, Buffer.from('nonsense\r\n\r\n')])),
    [200, 400],
    'what is broken behind a delivery does not break the delivery'
  )
})

t.test('an idle connection stays open for the configured time', async t => {
  const head = async (port: number): Promise<string> =>
    (await sendRaw(port, 'GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')).head
  t.match(await head(service.port), /^keep-alive: timeout=620$/im)
  const brief = await startTestService({ REDIS_URL: redis.url, KEEP_ALIVE_SECONDS: '7' })
  t.match(await head(brief.port), /^keep-alive: timeout=7$/im)
  const idle = connect(brief.port, '127.0.0.1')
  idle.write('GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n')
  await new Promise(resolve => idle.once('data', resolve))
  const ended = new Promise(resolve => idle.once('close', resolve))
  const started = performance.now()
  await Promise.all([brief.close(), ended])
  t.ok(performance.now() - started < 6000, 'and ended at once when the service ends')
})
