import fc from 'fast-check'
import t from 'tap'
import { openBody, type SealedBody, sealBody } from '../../src/receive/sealed-body.ts'
import { Secret } from '../../src/secret.ts'
import { signingKey } from '../../src/settings/sources.ts'
import { anyText } from '../helpers/any-text.ts'

const KEY = signingKey('current', new Secret('a-key-for-tests'))
const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 100)

const body = fc.uint8Array({ maxLength: 300 }).map(bytes => Buffer.from(bytes))
const binary = ['salt', 'nonce', 'sealed'] as const

t.test('a sealed body can only be opened with its key and for its delivery', t => {
  fc.assert(
    fc.property(body, anyText(), fc.string(), (plain, boundTo, other) => {
      const sealed = sealBody(plain, KEY, boundTo)
      if (!openBody(sealed, KEY.secret, boundTo)?.equals(plain)) throw new Error('it does not open')
      if (other !== boundTo && openBody(sealed, KEY.secret, other) !== undefined) {
        throw new Error('it opens for another delivery')
      }
      if (openBody(sealed, new Secret('another-key'), boundTo) !== undefined) {
        throw new Error('it opens with another key')
      }
    }),
    { numRuns: RUNS }
  )
  t.end()
})

t.test('a flipped bit, or a cut, is refused', t => {
  fc.assert(
    fc.property(body, fc.constantFrom(...binary), fc.nat(), fc.nat(7), (plain, field, at, bit) => {
      const sealed = sealBody(plain, KEY, 'here')
      const bytes = Buffer.from(sealed[field], 'base64')
      const position = at % bytes.length
      bytes[position] = (bytes[position] ?? 0) ^ (1 << bit)
      const changed: SealedBody = { ...sealed, [field]: bytes.toString('base64') }
      if (openBody(changed, KEY.secret, 'here') !== undefined) throw new Error(`${field} was changed`)
      const cut: SealedBody = { ...sealed, [field]: bytes.subarray(0, position).toString('base64') }
      if (openBody(cut, KEY.secret, 'here') !== undefined) throw new Error(`${field} was cut`)
    }),
    { numRuns: RUNS }
  )
  t.end()
})

t.test('nothing of the body can be read, and sealing twice gives different results', t => {
  const plain = Buffer.from('email=ada@example.com&password=hunter2'.repeat(20))
  const one = sealBody(plain, KEY, 'here')
  const two = sealBody(plain, KEY, 'here')
  for (const field of binary) t.not(one[field], two[field], field)
  const shown = Buffer.from(one.sealed, 'base64').toString('latin1') + JSON.stringify(one)
  t.notMatch(shown, /ada@|hunter2/)
  t.notMatch(JSON.stringify(one), 'a-key-for-tests')
  t.end()
})
