import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { type HmacAlgorithm, isHmac } from '../../src/receive/hmac.ts'
import { Secret } from '../../src/secret.ts'

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 500)

t.test('it is what createHmac computes, for any key, head and body', async () => {
  const key = fc.oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 300 }),
    fc.constantFrom('x'.repeat(63), 'x'.repeat(64), 'x'.repeat(65), 'é'.repeat(32), 'é'.repeat(33))
  )
  const bytes = fc
    .oneof(
      fc.uint8Array({ maxLength: 500 }),
      fc.constantFrom(65_400, 65_536, 70_000).map(size => new Uint8Array(size))
    )
    .map(array => Buffer.from(array))
  const head = fc.string({ unit: 'binary-ascii', maxLength: 80 })
  const algorithm = fc.constantFrom<HmacAlgorithm>('sha256', 'sha1')
  fc.assert(
    fc.property(algorithm, key, head, bytes, (algorithm, key, head, body) => {
      const secret = new Secret(key)
      const expected = createHmac(algorithm, key).update(head).update(body).digest('hex')
      // Twice: the second time with what the first has prepared.
      return [expected, expected.toUpperCase()].every(claimed =>
        isHmac(algorithm, secret, head, body, claimed)
      )
    }),
    { numRuns: RUNS }
  )
})

t.test('a claim that differs in one digit, is too long, too short or no hex is wrong', async t => {
  const secret = new Secret('key')
  const body = Buffer.from('body')
  for (const algorithm of ['sha1', 'sha256'] as const) {
    const right = createHmac(algorithm, 'key').update(body).digest('hex')
    const digits = [...right]
    const wrong = digits.map((digit, at) => digits.with(at, digit === '0' ? '1' : '0').join(''))
    const others = [
      '',
      right.slice(2),
      `${right}00`,
      right.slice(1),
      `${right.slice(0, -1)}x`,
      'z'.repeat(right.length)
    ]
    for (const claimed of [...wrong, ...others])
      t.notOk(isHmac(algorithm, secret, '', body, claimed), claimed)
    t.ok(isHmac(algorithm, secret, '', body, right), 'and after all of these the right one is right')
  }
})
