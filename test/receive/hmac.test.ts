import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { hmac } from '../../src/receive/hmac.ts'
import { Secret } from '../../src/secret.ts'
import { anyText } from '../helpers/any-text.ts'

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 100)
const algorithms = ['sha256', 'sha1'] as const

const ofNode = (algorithm: string, key: string, head: string, body: Buffer): string =>
  createHmac(algorithm, key).update(head).update(body).digest('hex')

t.test('a test case of RFC 4231 and one of RFC 2202', async t => {
  const body = Buffer.from('what do ya want for nothing?')
  const sha256 = '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'
  t.equal(hmac('sha256', new Secret('Jefe'), '', body), sha256)
  t.equal(hmac('sha1', new Secret('Jefe'), '', body), 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79')
})

t.test('any key, head and body have the MAC that createHmac gives', async () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...algorithms),
      anyText({ minLength: 1, maxLength: 150 }),
      anyText(),
      fc.uint8Array({ maxLength: 300 }),
      (algorithm, key, head, bytes) => {
        const body = Buffer.from(bytes)
        return hmac(algorithm, new Secret(key), head, body) === ofNode(algorithm, key, head, body)
      }
    ),
    { numRuns: RUNS }
  )
})

t.test('keys around the size of a block, and a large body', async t => {
  const body = Buffer.alloc(1_000_000, 'x')
  for (const algorithm of algorithms) {
    for (const length of [1, 63, 64, 65, 1000]) {
      const [key, text] = [new Secret('k'.repeat(length)), 'k'.repeat(length)]
      for (const time of ['first', 'second']) {
        const mac = hmac(algorithm, key, 'v0:1:', body)
        t.equal(mac, ofNode(algorithm, text, 'v0:1:', body), `${algorithm}, ${length} bytes, ${time} time`)
      }
    }
  }
})

t.test('one key has a MAC of its own with each algorithm', async t => {
  const key = new Secret('k')
  for (const algorithm of algorithms) {
    t.equal(hmac(algorithm, key, 'head', Buffer.alloc(0)), ofNode(algorithm, 'k', 'head', Buffer.alloc(0)))
  }
})
