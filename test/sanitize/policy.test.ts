import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { basic, customerio, definePolicy, loadPolicy } from '../../src/sanitize/policy.ts'

t.test('the built-in policies are known by name', async t => {
  t.equal(loadPolicy('basic'), basic)
  t.equal(loadPolicy('customerio'), customerio)
})

t.test('a policy file extends a built-in policy and replaces its rules in any spelling', async t => {
  const file = join(t.testdir(), 'policy.json')
  writeFileSync(file, '{"extends":"basic","fields":{"EMail":"redact","user.name":"hash"},"text":["ssn"]}')
  const { email: _, ...kept } = basic.fields
  t.strictSame(loadPolicy(file), { fields: { ...kept, EMail: 'redact', 'user.name': 'hash' }, text: ['ssn'] })
})

t.test('a policy file without text keeps the kinds of the policy it extends', async t => {
  t.strictSame(definePolicy({ extends: 'customerio' }), customerio)
  t.strictSame(definePolicy({ fields: { a: 'redact' } }), { fields: { a: 'redact' }, text: [] })
})

const refused: [name: string, file: unknown, message: RegExp][] = [
  ['an unknown key', { field: {} }, /"field"/],
  ['an unknown action', { fields: { a: 'drop' } }, /fields\/a/],
  ['an unknown policy to extend', { extends: 'none' }, /extends/],
  ['an unknown kind of text', { text: ['iban'] }, /text\/0/],
  ['an empty name', { fields: { 'a..b': 'redact' } }, /not a PII policy/],
  ['two spellings of one field', { fields: { a_b: 'redact', aB: 'hash' } }, /a_b and aB are the same field/],
  ['no object', [], /not a PII policy/]
]

for (const [name, file, message] of refused) {
  t.test(`a policy file with ${name} is refused`, async t => {
    t.throws(() => definePolicy(file), { message })
  })
}

t.test('a name that is no file is refused', async t => {
  t.throws(() => loadPolicy('customer-io'), { message: /customer-io is neither basic, customerio nor/ })
})
