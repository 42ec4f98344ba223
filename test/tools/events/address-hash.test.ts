import { createHash, createHmac } from 'node:crypto'
import t from 'tap'
import { customerio } from '../../../src/sanitize/policy.ts'
import { compileSanitizer } from '../../../src/sanitize/sanitize.ts'
import { compileAddressHash } from '../../../src/tools/events/address-hash.ts'

for (const hashKey of [undefined, 'a key']) {
  t.test(
    `hashes are those of the sanitizer, ${hashKey === undefined ? 'without a key' : 'under a key'}`,
    async t => {
      const { ofAddress, customerSubjects } = compileAddressHash(hashKey)
      const sanitizer = compileSanitizer(customerio, { hashKey })
      for (const address of [
        'ada@example.com',
        ' Ada@Example.COM ',
        'Ada Lovelace <ada@example.com>',
        '+1 (555) 010-9999',
        '0049 30 1234567',
        '15550109999'
      ]) {
        t.same(sanitizer.value({ recipient: address }), { recipient_hash: ofAddress(address) }, address)
      }
      for (const id of ['42', 'ada@example.com', 'user:ada@example.com', '+15550109999', 'ULID-like']) {
        t.same(customerSubjects(id).at(-1), Object(sanitizer.value({ customer_id: id })).customer_id, id)
        t.equal(customerSubjects(id)[0], id, 'as a source without this rule has it')
      }
      t.same(customerSubjects('42'), ['42'])
      t.equal(ofAddress('Ada'), undefined)
    }
  )
}

t.test('the hash is SHA-256 in hex, or HMAC-SHA256 under the key', async t => {
  const text = 'ada@example.com'
  t.equal(compileAddressHash(undefined).ofAddress(text), createHash('sha256').update(text).digest('hex'))
  t.equal(compileAddressHash('k').ofAddress(text), createHmac('sha256', 'k').update(text).digest('hex'))
})

t.test('a customer id that is too long for a subject is found by its hash', async t => {
  const id = 'x'.repeat(257)
  t.same(compileAddressHash(undefined).customerSubjects(id), [createHash('sha256').update(id).digest('hex')])
})
