import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { verifyRequestSignature } from 'customerio-node'
import t, { type Test } from 'tap'
import { Secret } from '../../../src/secret.ts'
import { type BatchOptions, sendBatch } from '../../../src/tools/send/load.ts'
import { freePort } from '../../helpers/server.ts'
import { KEY } from '../../helpers/sign.ts'

interface Seen {
  readonly body: string
  readonly headers: Record<string, unknown>
  readonly atMs: number
}

/** Answers the n-th request with `statusOf(n)`. */
async function startSink(
  t: Test,
  statusOf: (index: number) => number = () => 200,
  headers: Record<string, string> = {}
): Promise<{ url: URL; seen: Seen[] }> {
  const seen: Seen[] = []
  const listener: RequestListener = async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks).toString('utf8')
    const status = statusOf(seen.length)
    seen.push({ body, headers: request.headers, atMs: performance.now() })
    response.writeHead(status, headers).end(JSON.stringify({ status: status === 200 ? 'accepted' : 'no' }))
  }
  const server = createServer(listener)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/x`), seen }
}

const batch = (url: URL, change: Partial<BatchOptions> = {}) =>
  sendBatch({
    url,
    key: new Secret(KEY),
    scheme: 'v0',
    count: 10,
    concurrency: 4,
    ratePerSecond: undefined,
    duplicateShare: 0,
    retry: false,
    body: index => Buffer.from(JSON.stringify({ event_id: String(index) })),
    now: Date.now,
    onProgress: () => {},
    signal: new AbortController().signal,
    ...change
  })

t.test('every delivery has a signature that Customer.io’s own package accepts', async t => {
  const { url, seen } = await startSink(t)
  const summary = await batch(url)
  t.match(summary, { deliveries: 10, retries: 0, statuses: { '200': 10 }, outcomes: { accepted: 10 } })
  t.equal(seen.length, 10)
  for (const { body, headers } of seen) {
    const timestamp = Number(headers['x-cio-timestamp'])
    const signature = String(headers['x-cio-signature'])
    t.ok(verifyRequestSignature({ signingSecret: KEY, timestamp, body, signature }))
  }
})

t.test('a tenth of the deliveries repeats earlier events', async t => {
  const { url, seen } = await startSink(t)
  await batch(url, { count: 200, duplicateShare: 0.1, concurrency: 1 })
  t.equal(new Set(seen.map(({ body }) => body)).size, 180)
  t.equal(seen.length, 200)
})

t.test('the rate is kept', async t => {
  const { url, seen } = await startSink(t)
  const summary = await batch(url, { count: 20, ratePerSecond: 40 })
  const spanMs = (seen.at(-1)?.atMs ?? 0) - (seen[0]?.atMs ?? 0)
  t.ok(spanMs > 430, `${spanMs} ms for 19 gaps of 25 ms`)
  t.ok(summary.durationMs > 430)
})

t.test('with retry, a 503 blocks later deliveries until the retry succeeds', async t => {
  const { url, seen } = await startSink(t, index => (index === 1 ? 503 : 200), { 'retry-after': '1' })
  const summary = await batch(url, { count: 4, concurrency: 1, retry: true })
  t.match(summary, { deliveries: 4, retries: 1, statuses: { '200': 4 } })
  t.same(
    seen.map(({ body }) => JSON.parse(body).event_id),
    ['0', '1', '1', '2', '3']
  )
  t.ok((seen[2]?.atMs ?? 0) - (seen[1]?.atMs ?? 0) > 950, 'no sooner than retry-after')
})

t.test('without retry a 503 is counted, and other failures are always counted', async t => {
  const { url } = await startSink(t, index => [503, 500, 401, 200][index] ?? 200)
  const summary = await batch(url, { count: 4, concurrency: 1 })
  t.same(summary.statuses, { '503': 1, '500': 1, '401': 1, '200': 1 })
  t.same((await batch(url, { count: 1, retry: true })).statuses, { '200': 1 })
})

t.test('a refused connection is counted, and there is no latency', async t => {
  const summary = await batch(new URL(`http://127.0.0.1:${await freePort()}/`), { count: 3 })
  t.same(summary.statuses, { ECONNREFUSED: 3 })
  t.equal(summary.latencyMs, undefined)
})

t.test('after an abort nothing new is sent, and the summary counts what was sent', async t => {
  const abort = new AbortController()
  const { url, seen } = await startSink(t)
  const summary = await batch(url, {
    count: 1000,
    concurrency: 1,
    ratePerSecond: 100,
    signal: abort.signal,
    onProgress: done => done === 3 && abort.abort()
  })
  t.equal(summary.deliveries, 3)
  t.equal(seen.length, 3)
})
