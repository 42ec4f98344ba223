import t from 'tap'
import { compileTypeGlobs, misspeltTypes } from '../src/event-types.ts'

const cases: readonly (readonly [glob: string, type: string, matches: boolean])[] = [
  ['email.*', 'email.opened', true],
  ['email.*', 'sms.opened', false],
  ['email.*', 'unknown', false],
  ['io.customer.email.*', 'email.opened', true],
  ['io.customer.email.*', 'sms.opened', false],
  ['io.customer.unknown', 'unknown', true],
  ['io.customer.*', 'email.opened', true],
  ['email*', 'email.opened', true],
  ['unknown', 'unknown', true],
  ['emial.*', 'emial.opened', true],
  ['*.bounced', 'push.bounced', true],
  ['*.bounced', 'push.bounced_late', false],
  ['*', 'unknown', true],
  ['*', 'in_app.opened', true],
  ['customer.unsubscribed', 'customer.unsubscribed', true],
  ['customer.unsubscribed', 'customer_unsubscribed', false],
  ['?ms.sent', 'sms.sent', true],
  ['?ms.sent', 'ms.sent', false],
  ['in_*.*ed', 'in_app.converted', true],
  ['in_*.*ed', 'in_app.convert', false],
  ['*a*b*c', 'xaxbxbxc', true],
  ['*a*b*c', 'xaxbxbx', false],
  ['Email.*', 'email.opened', false]
]

for (const [glob, name, matches] of cases) {
  t.test(`${glob} ${matches ? 'matches' : 'does not match'} ${name}`, async t => {
    t.equal(compileTypeGlobs([glob])(`io.customer.${name}`), matches)
  })
}

t.test('without globs everything matches; with several, one match is enough', async t => {
  t.equal(compileTypeGlobs(undefined)('io.customer.email.opened'), true)
  t.equal(compileTypeGlobs(['sms.*', 'email.*'])('io.customer.email.opened'), true)
})

const impossible: readonly (readonly [globs: readonly string[], reason: RegExp])[] = [
  [[], /^no types: leave them out for all events$/],
  [[''], /^"" matches no event/],
  [['email.{a,b}'], /only letters, digits, _ \. \* and \?$/],
  [['email .*'], /only letters, digits, _ \. \* and \?$/],
  [['email'], /a type is <object_type>\.<metric>: did you mean email\.\*\?$/],
  [['in_app_opened'], /did you mean in_app\.opened\?$/],
  [['sms.*', 'io.customer.email'], /^"io\.customer\.email" .*did you mean email\.\*\?$/],
  [['io.other.email.*'], /with one dot, such as email\.opened$/],
  [['.opened'], /begin with a letter/],
  [['email.'], /begin with a letter/],
  [['1*.sent'], /begin with a letter/],
  [['a'.repeat(65).concat('.*')], /at most 64 characters$/]
]

for (const [globs, reason] of impossible) {
  t.test(
    `${JSON.stringify(globs).slice(0, 40)} is refused with the reason, since it cannot match anything`,
    async t => {
      const error = t.throws(() => compileTypeGlobs(globs), TypeError)
      t.match(error instanceof Error ? error.message : error, reason)
    }
  )
}

t.test('a glob whose object type is one letter away from a documented one is probably misspelt', async t => {
  t.same(misspeltTypes(['emial.*', 'email.*', 'io.customer.sm.sent', 'order.*', '*ush.*']), [
    'the type emial.* is probably misspelt: Customer.io documents email, not emial',
    'the type io.customer.sm.sent is probably misspelt: Customer.io documents sms, not sm'
  ])
  t.same(misspeltTypes(undefined), [])
})

t.test('a glob with many stars needs at most glob × text steps', async t => {
  const startedMs = performance.now()
  compileTypeGlobs([`${'*a'.repeat(64)}b`])('a'.repeat(10_000))
  t.ok(performance.now() - startedMs < 5000)
})
