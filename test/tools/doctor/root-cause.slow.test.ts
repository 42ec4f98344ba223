import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Secret } from '../../../src/secret.ts'
import type { RootCause } from '../../../src/tools/doctor/root-cause.ts'
import { type Report, runChecks, verdictOf } from '../../../src/tools/doctor/run-checks.ts'
import { repeat } from '../../helpers/repeat.ts'
import { KEY, WEBHOOK_PATH } from '../../helpers/sign.ts'
import { type Habits, startReceiver } from './receiver.ts'

const LIMIT_MS = 60_000

/** Nearly all of the time is waiting for answers that do not come: 2 s of CPU time in all. */
t.jobs = 16
t.setTimeout(600_000)

async function listen(t: Test, server: Server): Promise<URL> {
  const sockets = new Set<Socket>()
  server.on('connection', socket => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}${WEBHOOK_PATH}`)
}

const onConnection = (handle: (socket: Socket) => void) => (t: Test) => listen(t, createServer(handle))
const onRequest = (handle: RequestListener) => (t: Test) => listen(t, createHttpServer(handle))
const withHabits = (habits: Partial<Habits>) => async (t: Test) => {
  const receiver = await startReceiver(habits)
  t.teardown(() => receiver.close())
  return receiver.url
}

/** Writes the text after the first bytes of a request, then a piece every 100 ms without end. */
const endless = (start: string, piece: string) =>
  onConnection(socket => {
    socket.once('data', () => {
      socket.write(start)
      const timer = setInterval(() => socket.write(piece), 100)
      socket.once('close', () => clearInterval(timer))
    })
  })

/** Handles one request at a time, each in this time. */
const oneByOne = (answerMs: number) => (t: Test) => {
  let last = Promise.resolve()
  return onRequest((request, response) => {
    request.resume()
    last = last.then(() => sleep(answerMs)).then(() => void response.end('{}'))
  })(t)
}

const answer = (status: number, body = '{}', type = 'application/json') =>
  onRequest((request, response) => {
    request.resume()
    response.writeHead(status, { 'content-type': type }).end(body)
  })

const rows: readonly (readonly [
  name: string,
  start: (t: Test) => Promise<URL>,
  cause: RootCause['cause'] | undefined,
  observed?: RegExp
])[] = [
  [
    'needs 4.5 s to accept',
    withHabits({ answerDelayMs: 4500 }),
    'slow',
    /^Every answer takes [4-9](\.\d)? s/
  ],
  [
    'needs 4.5 s to refuse',
    onRequest((_, response) => void sleep(4500).then(() => response.writeHead(401).end())),
    'slow'
  ],
  [
    'accepts the connection and never answers',
    onConnection(() => {}),
    'no_answer',
    /no answer after \d{4,5} ms/
  ],
  ['resets the connection', onConnection(socket => socket.resetAndDestroy()), 'no_answer', /ECONNRESET/],
  ['drips its answer', endless('HTTP/1.1 200 OK\r\n\r\n', ' '), 'no_answer'],
  ['never ends its headers', endless('HTTP/1.1 200 OK\r\n', 'a: b\r\n'), 'no_answer'],
  ['never ends its interim answers', endless('', 'HTTP/1.1 102 Processing\r\n\r\n'), 'no_answer'],
  ['does not speak HTTP', endless('SSH-2.0-x\r\n', 'x'), 'no_answer'],
  ['has nothing at this path', answer(404), 'no_receiver', /^There is no webhook endpoint/],
  [
    'shows a web page',
    answer(200, '<!DOCTYPE html><html></html>', 'text/html'),
    'no_receiver',
    /^A web page/
  ],
  ['fails on everything', answer(502), 'unavailable', /fails on every delivery: 502/],
  ['redirects everything', answer(308), 'redirected'],
  ['has another key', withHabits({ key: 'another key' }), 'key', /^Not accepted: 401/],
  ['does not allow the address', withHabits({ allowed: () => false }), 'address'],
  ['is correct', withHabits({}), undefined],
  ['is correct and needs 3 s per answer', withHabits({ answerDelayMs: 3000 }), undefined],
  ['handles one request at a time', oneByOne(200), undefined],
  ['handles one request at a time, slowly', oneByOne(1000), 'time_limit']
]

/** A read-only run has no authentic delivery and fewer checks. */
const needsAcceptance = new Set([
  'needs 4.5 s to accept',
  'has another key',
  'handles one request at a time, slowly'
])

for (const [name, start, cause, observed = /./] of rows) {
  for (const readOnly of [false, true]) {
    t.test(`an endpoint that ${name}${readOnly ? ', read-only' : ''}`, { buffered: true }, async t => {
      const url = await start(t)
      const isJudged = !readOnly || !needsAcceptance.has(name)
      // Limits of seconds, some of which an endpoint uses up, on a machine that is busy with other endpoints.
      const report = await repeat(
        () => runChecks({ url, key: new Secret(KEY), now: Date.now }, { readOnly }),
        report =>
          !isJudged ||
          (report.rootCause?.cause === cause && (cause !== undefined || slowOnes(report).length === 0))
      )
      t.ok(report.durationMs < LIMIT_MS - 2000, `${report.durationMs} ms`)
      if (!isJudged) return
      t.equal(report.rootCause?.cause, cause, JSON.stringify(report.rootCause))
      if (cause !== undefined) t.match(report.rootCause?.observed, observed)
      if (report.rootCause?.stops) t.not(verdictOf(report), 'pass')
      if (report.rootCause?.stops && cause !== 'time_limit') {
        t.ok(report.durationMs < 20_000, `no check was run in vain: ${report.durationMs} ms`)
      }
      if (cause === undefined) t.same(slowOnes(report), [], 'no failure is caused by the doctor’s own load')
    })
  }
}

const slowOnes = ({ results }: Report): readonly string[] =>
  results
    .filter(({ status, check }) => status === 'fail' && check.id !== 'no-signature')
    .filter(({ observed }) => /no answer|closed without|took/.test(observed))
    .map(({ check, observed }) => `${check.id}: ${observed}`)

t.test('a server that never completes a TLS handshake is found', async t => {
  const url = await onConnection(() => {})(t)
  url.protocol = 'https:'
  const { rootCause, durationMs } = await runChecks({ url, key: new Secret(KEY), now: Date.now })
  t.match(rootCause, { cause: 'tls', observed: /^The TLS handshake failed: not finished in time/ })
  t.ok(durationMs < LIMIT_MS, `${durationMs} ms`)
})

t.test('an endpoint that stops answering after its first answers is checked in time', async t => {
  let answers = 0
  const url = await onRequest((request, response) => {
    request.resume()
    if (++answers < 8) response.writeHead(answers % 3 === 1 ? 200 : 401).end('{}')
  })(t)
  const { durationMs, results } = await runChecks({ url, key: new Secret(KEY), now: Date.now })
  t.ok(durationMs < LIMIT_MS - 2000, `${durationMs} ms`)
  t.ok(results.some(({ status }) => status === 'fail'))
})
