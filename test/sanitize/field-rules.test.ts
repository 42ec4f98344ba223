import t from 'tap'
import { compileFields, isFixed, type Parent } from '../../src/sanitize/field-rules.ts'
import { customerio, definePolicy } from '../../src/sanitize/policy.ts'

const fields = compileFields(customerio, [], [], text => text)

t.test('ids, times and types are fixed, other names are not', async t => {
  const fixed =
    'id ID delivery_id DELIVERY-ID userId userID ids cio_id timestamp Timestamp originalTimestamp time created_at sentAt object_type objectTypeType metric event_type type event'
  const others = 'valid android paid format data note failure_message device_id deviceId beat What'
  for (const key of fixed.split(' ')) t.ok(isFixed(key, fields.of(key)), key)
  for (const key of others.split(' ')) t.notOk(isFixed(key, fields.of(key)), key)
})

t.test('keys beyond what is remembered are read just the same', async t => {
  const spellings = Array.from(
    { length: 5000 },
    (_, index) => `E${'_'.repeat(index % 90)}-mail${'-'.repeat(index % 97)}`
  )
  t.ok(spellings.every(key => fields.of(key).rules[0]?.output === 'email_hash'))
})

t.test('a rule is found by the names around the field and by the event', async t => {
  const policy = definePolicy({ fields: { 'a.b.c': 'hash', c: { 'email.*': 'redact' } } })
  const { of, ruleFor } = compileFields(policy, [], [['x', '0', 'c']], text => text)
  const inside = (...names: string[]): Parent | undefined =>
    names.reduce<Parent | undefined>((parent, name) => ({ name, parent }), undefined)
  t.equal(ruleFor(of('C'), inside('z', 'a', 'b'), '')?.action, 'hash')
  t.equal(ruleFor(of('c'), inside('b'), ''), undefined)
  t.equal(ruleFor(of('c'), inside('b'), 'Email.sent')?.action, 'redact')
  t.equal(ruleFor(of('c'), inside('b'), 'xemail.sent'), undefined)
  t.equal(ruleFor(of('c'), inside('x'), '')?.action, 'hash-in-place-if-address')
})
