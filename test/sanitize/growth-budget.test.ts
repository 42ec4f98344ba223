import t from 'tap'
import { customerio } from '../../src/sanitize/policy.ts'
import { compileSanitizer } from '../../src/sanitize/sanitize.ts'
import { fill, testGrowth } from './growing-bodies.ts'

testGrowth(t, [200, 20_000, 100_000])

t.test('the field that grew too large is redacted, and no other', async t => {
  const { value } = compileSanitizer(customerio)
  const body = fill(2 ** 20, () => '""', '{"customer_id":"1","data":{"email":[', '],"to":"ada@example.com"}}')
  t.match(value(JSON.parse(body), { bodyBytes: body.length }), {
    customer_id: '1',
    data: { email_hash: '[REDACTED]', to_hash: /^\w{64}$/ }
  })
})

t.test('a list that just fits leaves enough to the fields beside it', async t => {
  const { value } = compileSanitizer(customerio)
  const outcomes = new Set<boolean>()
  for (let length = 400; length < 800; length++) {
    const once = value(
      { list: { email: Array(length).fill('') }, recipient: 'a@b.example', to: 'a@b.example' },
      { bodyBytes: 16 * 1024 }
    )
    const written = JSON.stringify(once)
    outcomes.add(written.includes('"list":{"email_hash":["'))
    if (!/"recipient_hash":"\w{64}","to_hash":"\w{64}"}$/.test(written))
      t.fail(`${length}: ${written.slice(-60)}`)
  }
  t.equal(outcomes.size, 2, 'some lists fitted, others did not')
})

t.test('a field of a small event may grow as much as it likes', async t => {
  const { value } = compileSanitizer(customerio)
  const email = Array.from({ length: 500 }, (_, index) => `${index}`)
  t.match(value({ email }, { bodyBytes: JSON.stringify({ email }).length }), {
    email_hash: email.map(() => /^\w{64}$/)
  })
})
