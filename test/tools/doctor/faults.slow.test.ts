import { timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { publishedAddresses } from '../../../src/receive/published-addresses.ts'
import { Secret } from '../../../src/secret.ts'
import type { Result } from '../../../src/tools/doctor/check.ts'
import { Endpoint } from '../../../src/tools/doctor/endpoint.ts'
import { runChecks } from '../../../src/tools/doctor/run-checks.ts'
import { tlsChecks } from '../../../src/tools/doctor/tls-checks.ts'
import { KEY, unixNow } from '../../helpers/sign.ts'
import { type Habits, objectOf, startReceiver } from './receiver.ts'

const SECRET = new Secret(KEY)

t.jobs = 4
t.setTimeout(600_000)

const known = new Set<unknown>(['email', 'customer', 'push', 'in_app', 'sms', 'whatsapp', 'slack', 'webhook'])
const text = (value: unknown): string => (Array.isArray(value) ? value.join(',') : String(value ?? ''))

/** Looks up an id first and remembers it later. */
const racing = (): Habits['isNew'] => {
  const ids = new Set<string>()
  return async id => {
    const isNew = !ids.has(id)
    await sleep(50)
    ids.add(id)
    return isNew
  }
}
const bySignature = (): Habits['isNew'] => {
  const signatures = new Set<string>()
  return async (_id, request) => {
    const signature = text(request.headers['x-cio-signature'])
    return !signatures.has(signature) && signatures.add(signature) !== undefined
  }
}

/** Remembers a delivery as soon as its headers have arrived. */
const hasty = (): Pick<Habits, 'isNew' | 'onStart'> => {
  const first = new Map<string, IncomingMessage>()
  const signature = ({ headers }: IncomingMessage): string => text(headers['x-cio-signature'])
  return {
    onStart: request => {
      if (!first.has(signature(request))) first.set(signature(request), request)
    },
    isNew: async (_id, request) => first.get(signature(request)) === request
  }
}

/** The one fault of an otherwise correct endpoint, and exactly the checks that must fail. */
const faults: readonly (readonly [string, Partial<Habits>, readonly string[]])[] = [
  ['is correct', {}, []],
  ['verifies the body alone', { signedBytes: (_timestamp, body) => body }, ['authentic']],
  ['expects the prefix v0=', { prefix: 'v0=' }, ['authentic']],
  ['has another key', { key: 'the key of another webhook' }, ['authentic']],
  [
    'verifies JSON that it serialized again',
    {
      signedBytes: (timestamp, body) => {
        const payload = objectOf(body)
        const bytes = payload === undefined ? body : Buffer.from(JSON.stringify(payload))
        return Buffer.concat([Buffer.from(`v0:${timestamp}:`), bytes])
      }
    },
    ['raw-bytes']
  ],
  [
    'compares in a way that throws on other lengths',
    { matches: (expected, claimed) => timingSafeEqual(Buffer.from(expected), Buffer.from(claimed)) },
    ['malformed-signature']
  ],
  [
    'only checks that there is a signature',
    { matches: (_expected, claimed) => claimed.length === 64 },
    ['wrong-key']
  ],
  [
    'only compares the first digits',
    { matches: (expected, claimed) => claimed.length === 64 && claimed.startsWith(expected.slice(0, 60)) },
    ['changed-signature']
  ],
  [
    'fills in a missing timestamp',
    {
      signedBytes: (timestamp, body) => Buffer.concat([Buffer.from(`v0:${timestamp || unixNow()}:`), body]),
      isFresh: (timestamp, now) =>
        timestamp === '' || (/^\d{1,12}$/.test(timestamp) && Math.abs(now - Number(timestamp)) < 4000)
    },
    ['no-timestamp']
  ],
  ['accepts signatures over the body alone for any body', { bodyScheme: true }, ['scheme-confusion']],
  ['verifies nothing because its key is not set', { verifies: false }, ['no-signature']],
  ['verifies with an empty key', { key: '' }, ['authentic', 'empty-key']],
  ['verifies with the key "undefined"', { key: 'undefined' }, ['authentic', 'empty-key']],
  ['does not check the age', { isFresh: () => true }, ['stale-timestamp']],
  [
    'accepts timestamps in the future',
    { isFresh: (timestamp, now) => /^\d{1,12}$/.test(timestamp) && now - Number(timestamp) < 86_400 },
    ['future-timestamp']
  ],
  [
    'accepts a timestamp that is not a number',
    { isFresh: (timestamp, now) => !(now - Number(timestamp) > 86_400 || Number(timestamp) - now > 300) },
    ['odd-timestamp']
  ],
  ['forgets event ids', { isNew: async () => true }, ['replay']],
  ['looks up an id first and remembers it later', { isNew: racing() }, ['retry-in-flight', 'burst']],
  ['remembers signatures', { isNew: bySignature() }, ['retry-signed-again', 'retry-in-flight']],
  [
    'remembers a delivery before it has read it',
    hasty(),
    ['retry-signed-again', 'retry-in-flight', 'truncated-body']
  ],
  [
    'insists on a declared length',
    { refuses: (_body, { headers }) => (headers['transfer-encoding'] === undefined ? undefined : 411) },
    ['chunked-body']
  ],
  ['gives a body too little time', { bodyTimeoutMs: 300 }, ['slow-body']],
  [
    'trusts the leftmost forwarded address',
    {
      addressOf: ({ headers, socket }) =>
        text(headers['x-forwarded-for']).split(',')[0]?.trim() || text(socket.remoteAddress)
    },
    ['forged-forwarded-for']
  ],
  [
    'trusts it from a doctor that is not on its list',
    {
      addressOf: ({ headers, socket }) =>
        text(headers['x-forwarded-for']).split(',')[0]?.trim() || text(socket.remoteAddress),
      allowed: address => publishedAddresses.includes(address)
    },
    ['forged-forwarded-for']
  ],
  [
    'trusts IPv6 forwarded addresses only',
    {
      addressOf: ({ headers, socket }) => {
        const [first = ''] = text(headers['x-forwarded-for']).split(',')
        return first.includes(':') ? first.trim() : text(socket.remoteAddress)
      }
    },
    ['forged-forwarded-ipv6']
  ],
  [
    'trusts x-real-ip',
    { addressOf: ({ headers, socket }) => text(headers['x-real-ip']) || text(socket.remoteAddress) },
    ['forged-other-headers']
  ],
  [
    'is correct, but the doctor is not on its list',
    { allowed: address => publishedAddresses.includes(address) },
    []
  ],
  ['accepts 1 MiB at most', { limitBytes: 1024 * 1024 }, ['large-body']],
  ['limits only the declared length', { countsChunks: false }, ['oversize-chunked']],
  [
    'refuses unknown types',
    { refuses: body => (known.has(objectOf(body)?.['object_type'] ?? 'email') ? undefined : 422) },
    ['unknown-type', 'odd-values', 'empty-object']
  ],
  [
    'refuses events without event_id',
    {
      refuses: body =>
        typeof (objectOf(body) ?? { event_id: '' })['event_id'] === 'string' ? undefined : 400
    },
    ['no-event-id', 'empty-object']
  ],
  [
    'refuses bodies that are not JSON objects',
    { refuses: body => (objectOf(body) === undefined ? 400 : undefined) },
    ['not-an-object', 'not-json', 'not-utf8']
  ],
  [
    'insists on application/json',
    { refuses: (_body, { headers }) => (headers['content-type'] === 'application/json' ? undefined : 415) },
    ['content-type']
  ],
  ['redirects deliveries', { redirectTo: '/api/cio/webhook/?token=abc' }, ['redirect']],
  ['processes events before it answers', { answerDelayMs: 4100 }, ['answer-time']],
  ['has public metrics', { metricsFor: () => true }, ['metrics']],
  [
    'opens its metrics to its own network only',
    { metricsFor: ({ headers }) => headers['x-forwarded-for'] === undefined },
    []
  ],
  ['answers 200 to every method', { otherMethods: 200 }, ['methods']],
  ['shows the address of its Redis', { health: { redis: 'redis://10.0.0.7:6379' } }, ['healthz']],
  ['reveals its key', { refusal: () => ({ detail: `no match under ${KEY}` }) }, ['key-in-answer']],
  ['reveals the right signature', { refusal: expected => ({ expected }) }, ['signature-in-answer']],
  ['shows a stack trace', { refusal: () => ({ stack: new Error('no').stack }) }, ['stack-trace']],
  ['only answers 2xx, without the outcome', { reportsOutcome: false }, []]
]

/** These take seconds: run against the correct endpoint, and where they are expected to fail. */
const slow = ['slow-body', 'stalled-body']

for (const [name, habits, expected] of faults) {
  t.test(`an endpoint that ${name}: exactly the expected checks fail`, { buffered: true }, async t => {
    const receiver = await startReceiver(habits)
    t.teardown(() => receiver.close())
    const skip = slow.filter(id => expected.length > 0 && !expected.includes(id))
    const { results } = await runChecks({ url: receiver.url, key: SECRET, now: Date.now }, { skip })
    t.same(failedIds(results), expected)
  })
}

const failedIds = (results: readonly Result[]): readonly string[] =>
  results.filter(({ status }) => status === 'fail').map(({ check }) => check.id)

t.test(
  'banners, refused old signatures and a body that is waited for are warnings, not failures',
  async t => {
    const receiver = await startReceiver({
      headers: { 'x-powered-by': 'Express', server: 'nginx/1.22.1' },
      isFresh: (timestamp, now) => /^\d{1,12}$/.test(timestamp) && Math.abs(now - Number(timestamp)) < 300,
      bodyTimeoutMs: 60_000
    })
    t.teardown(() => receiver.close())
    const { results } = await runChecks({ url: receiver.url, key: SECRET, now: Date.now })
    t.same(failedIds(results), [])
    t.match(
      results.filter(({ status }) => status === 'warn').map(({ check, observed }) => [check.id, observed]),
      [
        ['hour-old', /^Refused: 401/],
        ['stalled-body', 'The connection is still held after 8 s.'],
        ['banner', 'Answers say x-powered-by: Express, server: nginx/1.22.1.']
      ]
    )
  }
)

t.test('http to another machine fails, https passes', async t => {
  const [https] = tlsChecks
  const status = async (url: string) =>
    (await https?.run(new Endpoint({ url: new URL(url), key: undefined, now: Date.now })))?.status
  t.equal(await status('http://hooks.example.com/'), 'fail')
  t.equal(await status('http://localhost.example.com/'), 'fail')
  t.equal(await status('https://hooks.example.com/'), 'pass')
  t.equal(await status('http://[::1]/'), 'pass')
})
