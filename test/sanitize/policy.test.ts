import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  basic,
  customerio,
  definePolicy,
  loadPolicy,
  type Policy,
  pipelines
} from '../../src/sanitize/policy.ts'
import { compileSanitizer } from '../../src/sanitize/sanitize.ts'

t.test('the built-in policies are known by name', async t => {
  t.equal(loadPolicy('basic'), basic)
  t.equal(loadPolicy('customerio'), customerio)
  t.equal(loadPolicy('pipelines'), pipelines)
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
  ['an unknown action for an event', { fields: { a: { 'email.sent': 'drop' } } }, /fields\/a/],
  ['an event that is none', { fields: { a: { email: 'keep' } } }, /fields\/a/],
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
  t.throws(() => loadPolicy('customer-io'), {
    message:
      /customer-io is neither one of basic, customerio, pipelines nor a file that can be read \(ENOENT\)/
  })
})

t.test('a policy file that is not JSON is refused with the line and the cause', async t => {
  const file = join(t.testdir(), 'policy.json')
  for (const [text, message] of [
    [
      '{\n  "fields": {\n    "a": "redact",\n  }\n}',
      /not a PII policy: line 4: not JSON \(a key in double quotes is expected\)$/
    ],
    ['', /not a PII policy: line 1: not JSON \(a value is expected\)$/]
  ] as const) {
    writeFileSync(file, text)
    t.throws(() => loadPolicy(file), { message })
  }
})

const byEvent = definePolicy({
  extends: 'customerio',
  fields: {
    subject: { 'email.sent': 'keep', '*.bounced': 'hash' },
    'data.subject': { 'sms.*': 'keep-json' }
  }
})

t.test('a rule may depend on the event; without a rule for it, the next rule counts', async t => {
  const { value } = compileSanitizer(byEvent)
  const sanitized = (object_type: string, metric: string, subject = 'for ada@example.com') =>
    value({ object_type, metric, data: { subject } })
  const event = (object_type: string, metric: string, data: unknown) => ({ object_type, metric, data })
  const hash = /^\w{64}$/
  t.strictSame(sanitized('email', 'sent'), event('email', 'sent', { subject: 'for [EMAIL]' }))
  t.match(sanitized('sms', 'bounced', '{"a":1}'), { data: { subject: '{"a":1}' } }, 'the longest path counts')
  t.match(sanitized('push', 'bounced'), { data: { subject_hash: hash } })
  t.strictSame(sanitized('sms', 'sent', 'x'), event('sms', 'sent', { subject: '[REDACTED]' }))
  for (const other of [{ object_type: 'email', metric: 'opened' }, {}]) {
    t.strictSame(
      value({ ...other, data: { subject: 'x' } }),
      { ...other, data: { subject: '[REDACTED]' } },
      'the rule of the extended policy stays for all other events'
    )
  }
})

t.test('the longest path counts, then redaction; fields to redact come before all', async t => {
  const policy = definePolicy({ fields: { name: 'redact', 'app.name': 'keep', 'a.b': 'hash', b: 'redact' } })
  const input = { name: 'x', app: { name: 'shop' }, a: { b: 'y' } }
  t.match(compileSanitizer(policy).value(input), {
    name: '[REDACTED]',
    app: { name: 'shop' },
    a: { b_hash: /^\w{64}$/ }
  })
  t.strictSame(compileSanitizer(policy, { redactFields: ['Name', 'b'] }).value(input), {
    name: '[REDACTED]',
    app: { name: '[REDACTED]' },
    a: { b: '[REDACTED]' }
  })
})

t.test('the example in the documentation is a policy', async t => {
  const text = readFileSync('docs/pii.md', 'utf8')
  t.ok(definePolicy(JSON.parse(/```json\n([^`]+)```/.exec(text)?.[1] ?? '')))
})

t.test('the documentation lists the fields of the built-in policies, by policy and action', async t => {
  const text = readFileSync('docs/pii.md', 'utf8')
  const documentedFor = (policy: string): [string, string][] => {
    const rows = [...text.matchAll(new RegExp(`^\\| \`${policy}\` \\| \`([a-z-]+)\` \\| (.*) \\|$`, 'gm'))]
    return rows.flatMap(([, action = '', fields = '']) =>
      [...(fields.split(' of ')[0]?.matchAll(/`([^`]+)`/g) ?? [])].map(([, name = '']): [string, string] => [
        name,
        action
      ])
    )
  }
  const actionsOf = (policy: Policy): Map<string, string> =>
    new Map(
      Object.entries(policy.fields).map(([name, rule]) => [
        name,
        typeof rule === 'string' ? rule : [...new Set(Object.values(rule))].join()
      ])
    )
  const documented = new Map<string, string>()
  for (const [name, policy] of Object.entries({ basic, customerio, pipelines })) {
    for (const [field, action] of documentedFor(name)) documented.set(field, action)
    t.same(documented, actionsOf(policy), name)
  }
})
