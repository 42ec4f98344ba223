import { createHmac } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { verifySignature } from '../../../src/receive/signature.ts'
import { type Scheme, type SourceSettings, signingKeys } from '../../../src/settings/sources.ts'
import type { Target } from '../target.ts'

const KEYS = [
  'a-key-for-tests',
  'schlüssel of more than sixty-four bytes, which RFC 2104 hashes before it is used'
] as const
const NOW_SECONDS = 1_795_510_800
const TOLERANCE_SECONDS = 3600

const schemeSets: readonly (readonly Scheme[])[] = [['v0', 'body'], ['v0', 'body', 'cdp'], ['v0'], ['cdp']]
type SignedSource = Pick<SourceSettings, 'keys' | 'schemes'>
const sources: readonly SignedSource[] = schemeSets.map(schemes => ({ keys: signingKeys(...KEYS), schemes }))

/** Bits of the first byte: the source, the headers with a valid MAC, and repeated headers. */
const SIGN = 0b0100
const SECOND_KEY = 0b1000
const UPPER_CASE = 0b1_0000
const SIGN_BODY = 0b10_0000
const SHA1 = 0b100_0000
const REPEATED = 0b1000_0000

const row = (bits: number, ...values: readonly string[]): Buffer =>
  Buffer.concat([Buffer.of(bits), Buffer.from(values.join('\n'), 'latin1')])

export const target: Target = {
  shape: { prefixBytes: 1, json: false, maxBytes: 512 },
  seeds: [
    row(SIGN, '', '~', '', '{"event_id":"1"}'),
    row(SIGN | SECOND_KEY | UPPER_CASE, '', '1795510000', '', '{}'),
    row(SIGN | SIGN_BODY, '', '', '', '{"a":1}'),
    row(1 | SIGN | SIGN_BODY | SHA1, '', '', '', '{"a":1}'),
    row(SIGN | SIGN_BODY, '', '', '', 'v0:1795510800:{}'),
    row(SIGN | REPEATED, 'ab', '~', '', '{}'),
    row(SIGN, '', '1795511101', '', ''),
    row(0, 'a'.repeat(64), '~', 'b'.repeat(40), 'x'),
    row(2, '!', '!', '!', '')
  ],
  fuzz
}

/**
 * Compares `verifySignature` with a simple second implementation: it never throws, and accepts the same input.
 *
 * Input: a byte of bits, then three header values and the body, separated by line feeds. An empty value means no
 * header, `!` an empty header, `~` the current time.
 */
function fuzz(data: Buffer): void {
  const bits = data[0] ?? 0
  const source = sources[bits & 3] as SignedSource
  const [signature = '', timestamp = '', cdp = ''] = data.subarray(1).toString('latin1').split('\n', 3)
  const body = data.subarray(Math.min(data.length, 4 + signature.length + timestamp.length + cdp.length))
  const headers: IncomingHttpHeaders = {}
  set(headers, 'x-cio-timestamp', timestamp)
  set(headers, 'x-cio-signature', signature)
  set(headers, 'x-signature', cdp)
  if ((bits & SIGN) !== 0) sign(headers, bits, body)
  if ((bits & REPEATED) !== 0) {
    // Node joins repeated headers, but its types allow a list.
    headers['x-cio-signature'] = [String(headers['x-cio-signature']), signature] as unknown as string
  }

  const verdict = verifySignature(source, headers, body, NOW_SECONDS, TOLERANCE_SECONDS)
  const expected = expectedKey(source, headers, body)
  const key = verdict.authentic ? verdict.key : undefined
  if (key !== expected) {
    throw new Error(`verdict ${JSON.stringify(verdict)}, but the expected key is ${expected}`)
  }
  if (verdict.authentic && verdict.body !== body) throw new Error('the body is not the signed one')
}

function set(headers: IncomingHttpHeaders, name: string, written: string): void {
  if (written !== '') headers[name] = written === '!' ? '' : written === '~' ? String(NOW_SECONDS) : written
}

function sign(headers: IncomingHttpHeaders, bits: number, body: Buffer): void {
  const key = KEYS[(bits & SECOND_KEY) === 0 ? 0 : 1]
  const algorithm = (bits & SHA1) === 0 ? 'sha256' : 'sha1'
  const head = (bits & SIGN_BODY) === 0 ? `v0:${headers['x-cio-timestamp']}:` : ''
  const mac = createHmac(algorithm, key).update(head).update(body).digest('hex')
  const name = algorithm === 'sha1' ? 'x-signature' : 'x-cio-signature'
  headers[name] = (bits & UPPER_CASE) === 0 ? mac : mac.toUpperCase()
}

/** A simple second implementation of the signature rules. */
function expectedKey(source: SignedSource, headers: IncomingHttpHeaders, body: Buffer): string | undefined {
  const timestamp = headers['x-cio-timestamp']
  const claimed = headers['x-cio-signature']
  const right = (algorithm: string, head: string, given: unknown): string | undefined => {
    const index = KEYS.findIndex(key => {
      const mac = createHmac(algorithm, key).update(head).update(body).digest('hex')
      return typeof given === 'string' && given.toLowerCase() === mac
    })
    return ['current', 'previous'][index]
  }
  if (timestamp !== undefined) {
    const seconds = Number(timestamp)
    const fresh = seconds >= NOW_SECONDS - TOLERANCE_SECONDS && seconds <= NOW_SECONDS + 300
    const written = typeof timestamp === 'string' && [...timestamp].every(one => one >= '0' && one <= '9')
    if (!source.schemes.includes('v0') || !fresh || !written) return undefined
    return timestamp.length <= 15 ? right('sha256', `v0:${timestamp}:`, claimed) : undefined
  }
  if (body.subarray(0, 3).toString('latin1') === 'v0:') return undefined
  if (claimed === undefined && source.schemes.includes('cdp')) {
    return right('sha1', '', headers['x-signature'])
  }
  return source.schemes.includes('body') ? right('sha256', '', claimed) : undefined
}
