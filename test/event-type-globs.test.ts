import t from 'tap'
import { compileTypeGlobs } from '../src/event-types.ts'

const cases: readonly (readonly [glob: string, type: string, matches: boolean])[] = [
  ['email.*', 'email.opened', true],
  ['email.*', 'sms.opened', false],
  ['email.*', 'unknown', false],
  ['email', 'email.opened', false],
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

for (const globs of [[], [''], ['email.{a,b}'], ['email .*'], ['a'.repeat(130)]]) {
  t.test(`${JSON.stringify(globs).slice(0, 40)} is refused, since it cannot match anything`, async t => {
    t.throws(() => compileTypeGlobs(globs), TypeError)
  })
}

t.test('a glob with many stars needs at most glob × text steps', async t => {
  const startedMs = performance.now()
  compileTypeGlobs([`${'*a'.repeat(64)}b`])('a'.repeat(10_000))
  t.ok(performance.now() - startedMs < 500)
})
