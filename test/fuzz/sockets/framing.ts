import { postText } from '../../helpers/raw-http.ts'
import { type Attack, type Maker, REFUSALS } from './attack.ts'
import { delivery, forged, TOKEN } from './requests.ts'

const chunk = (bytes: Buffer, size = bytes.length.toString(16)): Buffer =>
  Buffer.concat([Buffer.from(`${size}\r\n`), bytes, Buffer.from('\r\n')])

/** An authentic delivery in chunks: valid ones are accepted, others refused. */
export const chunked: Maker = random => {
  const { body, headers, claim } = delivery(random)
  const cut = random.whole(1, body.length)
  const [first, second] = [body.subarray(0, cut), body.subarray(cut)]
  const last = Buffer.from('0\r\n\r\n')
  const hex = first.length.toString(16)
  const [valid, framed] = random.pick<readonly [boolean, readonly Buffer[]]>([
    [true, [chunk(first), chunk(second), last]],
    [true, [chunk(first, `000${hex.toUpperCase()}`), chunk(second), last]],
    [true, [chunk(first, `${hex};ext=${TOKEN}`), chunk(second), last]],
    [true, [chunk(body), Buffer.from(`0\r\nx-trailer: ${TOKEN}\r\n\r\n`)]],
    [false, [chunk(first, `0x${hex}`), chunk(second), last]],
    [false, [chunk(first, `-${hex}`), last]],
    [false, [chunk(first, 'ffffffffffffffff1'), last]],
    [false, [chunk(first, ''), last]],
    [false, [chunk(first, TOKEN), last]],
    [false, [chunk(first, `${hex} ;${'x'.repeat(20_000)}`), last]],
    [false, [chunk(first, (first.length + 3).toString(16)), last]],
    [false, [chunk(first), chunk(second)]]
  ])
  return {
    name: valid ? 'chunked' : 'invalid chunks',
    steps: [{ send: postText(Buffer.concat(framed), { ...headers, 'transfer-encoding': 'chunked' }) }],
    awaited: 1,
    whole: valid,
    allowed: valid ? [200] : [...REFUSALS, 503],
    claims: valid ? [{ ...claim, sure: true }] : [claim]
  }
}

/**
 * Request smuggling: one request for one parser, two for another, by length and chunks together, two lengths, or an
 * unknown encoding. The inner request is forged: it must not be in the log and must not get a response.
 */
export const smuggled: Maker = random => {
  const inner = forged(random).bytes
  const { body, headers } = delivery(random)
  const length = String(body.length)
  const framing = random.pick<Record<string, string | readonly string[]>>([
    { 'content-length': String(5 + inner.length), 'transfer-encoding': 'chunked' },
    { 'transfer-encoding': 'chunked', 'content-length': '5' },
    { 'content-length': [length, String(body.length + inner.length)] },
    { 'content-length': `${length}, ${length}1` },
    { 'content-length': `+${length}` },
    { 'content-length': `0x${body.length.toString(16)}` },
    { 'content-length': `-${length}` },
    { 'content-length': '99999999999999999999' },
    { 'content-length': `${length} ${length}` },
    { 'transfer-encoding': 'xchunked', 'content-length': length },
    { 'transfer-encoding': 'chunked, identity', 'content-length': length },
    { 'transfer-encoding': 'identity, chunked', 'content-length': length },
    { 'transfer-encoding': ['chunked', 'cow'], 'content-length': length },
    { 'transfer-encoding ': 'chunked', 'content-length': length },
    {
      'x-a': 'b\r\n transfer-encoding: chunked',
      'content-length': length,
      'transfer-encoding': '\u000bchunked'
    },
    { 'x-a': 'b\ncontent-length: 0', 'content-length': length, 'content-length ': '0' }
  ])
  const content = random.chance(0.5) ? Buffer.concat([Buffer.from('0\r\n\r\n'), inner]) : body
  return {
    name: 'smuggled',
    steps: [{ send: Buffer.concat([postText(content, { ...headers, ...framing }), inner]) }],
    awaited: 1,
    whole: true,
    allowed: [400, 413],
    claims: []
  }
}

/** Signature headers that are repeated or malformed. */
export const repeated: Maker = random => {
  const { body, headers } = delivery(random)
  const right = String(headers['x-cio-signature'])
  const timestamp = String(headers['x-cio-timestamp'])
  const more = random.pick<Record<string, string | readonly string[]>>([
    { 'x-cio-signature': [right, right] },
    { 'x-cio-signature': ['0'.repeat(64), right] },
    { 'x-cio-timestamp': [timestamp, timestamp] },
    { 'x-cio-timestamp': [timestamp, '0'] },
    { 'x-cio-signature': Array.from({ length: 300 }, () => right) },
    { 'x-cio-signature': `${right.slice(0, 32)}é${right.slice(33)}` },
    { 'x-cio-signature': `"${right}"` },
    { 'x-cio-timestamp': `${timestamp}.0` },
    { 'x-cio-timestamp': `+${timestamp}` },
    { 'x-cio-timestamp': `0x${Number(timestamp).toString(16)}` },
    { 'x-cio-timestamp': '' }
  ])
  return refused('repeated headers', postText(body, { ...headers, ...more }))
}

/** Heads and bodies above the limits. */
export const oversized: Maker = random => {
  const { body, headers } = delivery(random)
  const huge = random.pick<() => Buffer>([
    () => postText(body, { ...headers, 'x-a': TOKEN.repeat(2000) }),
    () => postText(body, { ...headers, 'x-a': Array.from({ length: 5000 }, () => 'b') }),
    () => postText(body, headers, `/api/cio/webhook/${'a'.repeat(30_000)}`),
    () => postText(body, headers, `/api/cio/webhook?${'a=b&'.repeat(8000)}`),
    () => postText(body, { ...headers, 'content-length': String(6 * 1024 * 1024) }),
    () => Buffer.alloc(40_000, random.pick(['A', '\r\n', ' ', '\0'])),
    () => postText(Buffer.alloc(5 * 1024 * 1024 + 1, 'x'), headers)
  ])()
  return refused('oversized', huge)
}

/** Headers that do not belong to a delivery. */
export const oddHeaders: Maker = random => {
  const { bytes } = forged(random)
  const header = random.pick([
    'expect: 100-continue',
    `expect: ${TOKEN}`,
    'upgrade: websocket\r\nconnection: upgrade',
    'connection: upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA',
    'content-encoding: gzip',
    'content-type: ;;;\u0001',
    'content-type: multipart/form-data',
    `x-forwarded-for: ${TOKEN}, 35.188.196.183`,
    'x-http-method-override: DELETE',
    'host: \r\nhost: two',
    `cookie: ${TOKEN}`,
    'keep-alive: timeout=99999999999',
    'accept-version: 9.9',
    `: ${TOKEN}`,
    `no colon ${TOKEN}`,
    'x: \u0000',
    'x: \u00ff\u00fe\u0080'
  ])
  const end = bytes.indexOf('\r\n') + 2
  const sent = Buffer.concat([
    bytes.subarray(0, end),
    Buffer.from(`${header}\r\n`, 'latin1'),
    bytes.subarray(end)
  ])
  return refused('headers', sent)
}

/** A complete request that must be refused. */
const refused = (name: string, bytes: Buffer): Attack => ({
  name,
  steps: [{ send: bytes }],
  awaited: 1,
  whole: true,
  allowed: REFUSALS,
  claims: []
})
