import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { Secret } from '../../src/credentials/secret.ts'
import { type HmacAlgorithm, hmac } from '../../src/receive/hmac.ts'

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 500)

t.test('it is what createHmac computes, for any key, head and body', async () => {
  const key = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }),
    fc.constantFrom('x'.repeat(63), 'x'.repeat(64), 'x'.repeat(65), 'é'.repeat(32), 'é'.repeat(33))
  )
  const bytes = fc.uint8Array({ maxLength: 500 }).map(array => Buffer.from(array))
  const head = fc.string({ unit: 'binary', maxLength: 80 })
  const algorithm = fc.constantFrom<HmacAlgorithm>('sha256', 'sha1')
  fc.assert(
    fc.property(algorithm, key, head, bytes, (algorithm, key, head, body) => {
      const secret = new Secret(key)
      const expected = createHmac(algorithm, key).update(head).update(body).digest('hex')
      // Twice: the second time with what the first has prepared.
      return [1, 2].every(() => hmac(algorithm, secret, head, body).toString('hex') === expected)
    }),
    { numRuns: RUNS }
  )
})
