import { createHmac } from 'node:crypto'
import { verifyRequestSignature } from 'customerio-node'
import fc from 'fast-check'
import t from 'tap'
import { verifySignature } from '../../src/receive/signature.ts'
import type { Scheme, SourceSettings } from '../../src/settings/sources.ts'
import { signingKeys } from '../../src/settings/sources.ts'
import { anyText } from '../helpers/any-text.ts'
import { type Headers, KEY, signBody, signCdp, signV0 } from '../helpers/sign.ts'

const NOW = 1_795_510_800
const TOLERANCE = 3600
const BODY = '{"event_id":"1"}'
const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 100)

type SignedSource = Pick<SourceSettings, 'keys' | 'schemes'>

const source = (
  schemes: readonly Scheme[] = ['v0', 'body'],
  current = KEY,
  previous: string | undefined = undefined
): SignedSource => ({ keys: signingKeys(current, previous), schemes })

const verify = (headers: Record<string, string>, body: string | Buffer = BODY, from = source()) =>
  verifySignature(from, headers, Buffer.from(body), NOW, TOLERANCE)

const outcome = (headers: Record<string, string>, body?: string | Buffer, from?: SignedSource): string => {
  const verdict = verify(headers, body, from)
  return verdict.authentic ? `authentic by ${verdict.key}` : verdict.reason
}

t.test('the check vectors of other implementations are accepted', async t => {
  const vectors = [
    [
      '755781b5e03a973f3405a85474d5a032a60fd56fabaad66039b12eadd83955fa',
      '1692633432',
      '{"key": "value"}',
      'd7c655389bb364d3e8bdbb6ec18a7f1b6cf91f39bba647554ada78aa61de37b9'
    ],
    [
      'topsecret',
      '1715784949',
      '{"userId":"1","marketingCtaId":"worlds-best-campaign"}',
      'b01e7dfc3ce67eaab1010b7021b86ce2ba12677d191e0e04b14cd859e347f866'
    ]
  ] as const
  for (const [key, timestamp, body, signature] of vectors) {
    const headers = { 'x-cio-timestamp': timestamp, 'x-cio-signature': signature }
    const verdict = verifySignature(source(['v0'], key), headers, Buffer.from(body), Number(timestamp), 300)
    t.match(verdict, { authentic: true, key: 'current' })
  }
})

const v0 = (
  change: (headers: Headers) => Headers = headers => headers,
  timestamp: string | number = NOW
): Headers => change(signV0(BODY, KEY, timestamp))
const signature = (change: (signature: string) => string) => (headers: Headers) => ({
  ...headers,
  'x-cio-signature': change(headers['x-cio-signature'] ?? '')
})

t.test('each combination of headers has its verdict', async t => {
  const rows: readonly (readonly [string, Record<string, string>, string])[] = [
    ['v0', v0(), 'authentic by current'],
    ['v0 in upper-case hex', v0(signature(hex => hex.toUpperCase())), 'authentic by current'],
    ['body scheme, no timestamp', signBody(BODY), 'authentic by current'],
    ['no headers at all', {}, 'missing'],
    ['a timestamp alone', { 'x-cio-timestamp': String(NOW) }, 'missing'],
    ['an empty signature', v0(signature(() => '')), 'missing'],
    ['a signature one digit short', v0(signature(hex => hex.slice(1))), 'malformed'],
    ['a signature one digit long', v0(signature(hex => `${hex}0`)), 'malformed'],
    ['a signature with a digit that is not hex', v0(signature(hex => `g${hex.slice(1)}`)), 'malformed'],
    ['a signature with the prefix v0=', v0(signature(hex => `v0=${hex}`)), 'malformed'],
    ['a repeated signature', v0(signature(hex => `${hex}, ${hex}`)), 'malformed'],
    ['a signature with a line break', v0(signature(hex => `${hex}\n`)), 'malformed'],
    [
      'a SHA-1 signature in the v0 header',
      { ...signV0(BODY, KEY, NOW), 'x-cio-signature': 'a'.repeat(40) },
      'malformed'
    ],
    ['another key', signV0(BODY, 'another', NOW), 'mismatch'],
    ['the timestamp removed', v0(({ 'x-cio-timestamp': _, ...rest }) => rest), 'mismatch'],
    [
      'a body signature with a timestamp added',
      { ...signBody(BODY), 'x-cio-timestamp': String(NOW) },
      'mismatch'
    ],
    ['an empty timestamp', v0(headers => headers, ''), 'timestamp_malformed'],
    ['a repeated timestamp', v0(headers => headers, `${NOW}, ${NOW}`), 'timestamp_malformed'],
    ['a negative timestamp', v0(headers => headers, -NOW), 'timestamp_malformed'],
    ['a fractional timestamp', v0(headers => headers, `${NOW}.5`), 'timestamp_malformed'],
    ['an exponent', v0(headers => headers, '1.795e9'), 'timestamp_malformed'],
    ['a timestamp padded with blanks', v0(headers => headers, ` ${NOW} `), 'timestamp_malformed'],
    ['a timestamp padded with zeros', v0(headers => headers, `000${NOW}`), 'authentic by current'],
    ['a huge timestamp', v0(headers => headers, '9'.repeat(400)), 'timestamp_malformed'],
    ['a timestamp in milliseconds', v0(headers => headers, NOW * 1000), 'timestamp_future'],
    [
      'a timestamp at the end of the tolerance',
      v0(headers => headers, NOW - TOLERANCE),
      'authentic by current'
    ],
    ['a stale timestamp', v0(headers => headers, NOW - TOLERANCE - 1), 'timestamp_stale'],
    ['a timestamp 300 s ahead', v0(headers => headers, NOW + 300), 'authentic by current'],
    ['a timestamp 301 s ahead', v0(headers => headers, NOW + 301), 'timestamp_future'],
    ['a cdp signature where the source has none', signCdp(BODY), 'missing']
  ]
  for (const [name, headers, expected] of rows) t.equal(outcome(headers), expected, name)
})

t.test('the text signed by v0 cannot be replayed as a body', async t => {
  const captured = signV0(BODY, KEY, NOW - 10 * TOLERANCE)
  const replayed = `v0:${captured['x-cio-timestamp']}:${BODY}`
  t.equal(outcome({ 'x-cio-signature': captured['x-cio-signature'] ?? '' }, replayed), 'scheme_confusion')
})

t.test('a source accepts its schemes only', async t => {
  const rows: readonly (readonly [string, readonly Scheme[], Headers, string])[] = [
    ['cdp where it is asked for', ['cdp'], signCdp(BODY), 'authentic by current'],
    ['cdp beside the others', ['v0', 'body', 'cdp'], signCdp(BODY), 'authentic by current'],
    ['body beside cdp', ['body', 'cdp'], signBody(BODY), 'authentic by current'],
    ['v0 beside cdp', ['v0', 'cdp'], signV0(BODY, KEY, NOW), 'authentic by current'],
    ['v0 where only cdp is', ['cdp'], signV0(BODY, KEY, NOW), 'scheme_not_allowed'],
    ['body where only v0 is', ['v0'], signBody(BODY), 'scheme_not_allowed'],
    ['v0 where only body is', ['body'], signV0(BODY, KEY, NOW), 'scheme_not_allowed'],
    ['cdp with a wrong key', ['cdp'], signCdp(BODY, 'another'), 'mismatch'],
    ['cdp with a SHA-256 signature', ['cdp'], { 'x-signature': 'a'.repeat(64) }, 'malformed'],
    ['cdp without its header', ['cdp'], {}, 'missing']
  ]
  for (const [name, schemes, headers, expected] of rows) {
    t.equal(outcome(headers, BODY, source(schemes)), expected, name)
  }
})

t.test('the previous key is accepted too, and is distinguished', async t => {
  const rotating = source(['v0', 'body'], 'new', 'old')
  t.equal(outcome(signV0(BODY, 'new', NOW), BODY, rotating), 'authentic by current')
  t.equal(outcome(signV0(BODY, 'old', NOW), BODY, rotating), 'authentic by previous')
  t.equal(outcome(signV0(BODY, 'older', NOW), BODY, rotating), 'mismatch')
})

t.test('the key is text, never decoded from hex', async t => {
  const hexKey = 'ab'.repeat(32)
  const decoded = createHmac('sha256', Buffer.from(hexKey, 'hex')).update(`v0:${NOW}:${BODY}`).digest('hex')
  const headers = { 'x-cio-timestamp': String(NOW), 'x-cio-signature': decoded }
  t.equal(outcome(headers, BODY, source(['v0'], hexKey)), 'mismatch')
  t.equal(outcome(signV0(BODY, hexKey, NOW), BODY, source(['v0'], hexKey)), 'authentic by current')
})

const bytes = fc.uint8Array({ maxLength: 2000 }).map(array => Buffer.from(array))
const text = anyText({ maxLength: 200 })
const nonEmpty = anyText({ minLength: 1, maxLength: 100 })

t.test("the verdict is that of Customer.io's own helper for fresh signatures in lower case", async () => {
  fc.assert(
    fc.property(
      nonEmpty,
      text,
      fc.integer({ min: NOW - 100, max: NOW + 100 }),
      fc.boolean(),
      (key, body, at, tamper) => {
        const headers = signV0(body, key, at)
        const signature = tamper
          ? flip(headers['x-cio-signature'] ?? '', 3)
          : (headers['x-cio-signature'] ?? '')
        const theirs = verifyRequestSignature({
          signingSecret: key,
          timestamp: String(at),
          body,
          signature
        })
        const ours = verify({ ...headers, 'x-cio-signature': signature }, body, source(['v0'], key))
        return ours.authentic === theirs && theirs === !tamper
      }
    ),
    { numRuns: RUNS }
  )
})

t.test('it differs from that helper in two points: upper-case hex, and freshness', async t => {
  const ask = (headers: Headers) => ({
    signingSecret: KEY,
    timestamp: headers['x-cio-timestamp'] ?? '',
    body: BODY,
    signature: headers['x-cio-signature'] ?? ''
  })
  const upper = v0(signature(hex => hex.toUpperCase()))
  t.equal(verifyRequestSignature(ask(upper)), false, 'the helper refuses upper-case hex')
  t.equal(outcome(upper), 'authentic by current', 'we take it')
  const stale = v0(headers => headers, NOW - TOLERANCE - 1)
  t.equal(verifyRequestSignature(ask(stale)), true, 'the helper has no freshness rule')
  t.equal(outcome(stale), 'timestamp_stale', 'we have one')
})

t.test('any one byte changed in body, timestamp or signature is refused', async () => {
  fc.assert(
    fc.property(bytes, fc.nat(), fc.integer({ min: 1, max: 255 }), fc.nat(), (body, at, by, digit) => {
      const headers = signV0(body, KEY, NOW)
      const changedBody = Buffer.concat([body])
      const position = body.length === 0 ? 0 : at % body.length
      changedBody[position] = ((changedBody[position] ?? 0) + by) % 256
      const rejected = [
        body.length === 0 || !verify(headers, changedBody).authentic,
        !verify({ ...headers, 'x-cio-timestamp': String(NOW + 1 + (at % 250)) }, body).authentic,
        !verify({ ...headers, 'x-cio-signature': flip(headers['x-cio-signature'] ?? '', digit) }, body)
          .authentic,
        !verify(headers, Buffer.concat([body, Buffer.from([by])])).authentic
      ]
      return verify(headers, body).authentic && rejected.every(Boolean)
    }),
    { numRuns: RUNS }
  )
})

t.test('it never throws, for any headers and body', async () => {
  const headers = fc.record(
    { 'x-cio-signature': text, 'x-cio-timestamp': text, 'x-signature': text },
    { requiredKeys: [] }
  )
  fc.assert(
    fc.property(headers, bytes, (headers, body) => {
      const verdict = verify(headers as Record<string, string>, body, source(['v0', 'body', 'cdp']))
      return verdict.authentic === false
    }),
    { numRuns: RUNS }
  )
})

/** Another hex digit in that place. */
function flip(hex: string, position: number): string {
  const at = position % hex.length
  const digit = (Number.parseInt(hex[at] ?? '0', 16) + 1) % 16
  return hex.slice(0, at) + digit.toString(16) + hex.slice(at + 1)
}
