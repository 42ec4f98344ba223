import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Secret } from '../../../src/secret.ts'
import { keepVaultToken, type VaultLease } from '../../../src/settings/secrets/vault-token.ts'

/** Vault by a list of answers: what happened is in `calls`. */
function start(t: Test, first: VaultLease, renewals: readonly (VaultLease | 'refused')[], logIns = [first]) {
  const calls: string[] = []
  const [nextLogIn, nextRenewal] = [[...logIns], [...renewals]]
  const token = keepVaultToken({
    logIn: async () => {
      calls.push('log in')
      const next = nextLogIn.shift()
      if (next === undefined) throw new Error('unreachable')
      return next
    },
    renew: async held => {
      calls.push(`renew ${held.reveal()}`)
      const next = nextRenewal.shift()
      if (next === undefined || next === 'refused') throw new Error('refused')
      return next
    }
  })
  t.teardown(() => token.close())
  return { token, calls }
}

const lease = (value: string, ttlMs: number, renewable = true): VaultLease => {
  return { token: new Secret(value), ttlMs, renewable }
}
const one = lease('one', 900)

t.test('one log-in serves all callers, and a token that does not expire is never renewed', async t => {
  const { token, calls } = start(t, lease('root', 0), [])
  const both = await Promise.all([token.get(), token.get()])
  t.same(
    both.map(secret => secret.reveal()),
    ['root', 'root']
  )
  await sleep(600)
  t.same(calls, ['log in'])
})

t.test('a token is renewed after two thirds of its time', async t => {
  const { token, calls } = start(t, one, [lease('one', 10_000)])
  await token.get()
  await sleep(300)
  t.same(calls, ['log in'])
  await sleep(500)
  t.same(calls, ['log in', 'renew one'])
  t.equal((await token.get()).reveal(), 'one')
})

t.test('a token near the end of its maximum lifetime is replaced while it is still valid', async t => {
  const { token, calls } = start(t, one, [lease('one', 100)], [one, lease('two', 10_000)])
  await token.get()
  await sleep(800)
  t.same(calls, ['log in', 'renew one', 'log in'])
  t.equal((await token.get()).reveal(), 'two')
})

t.test('a token that is not renewable is replaced', async t => {
  const { token, calls } = start(t, one, [], [lease('one', 900, false), lease('two', 10_000)])
  await token.get()
  await sleep(800)
  t.same(calls, ['log in', 'log in'])
  t.equal((await token.get()).reveal(), 'two')
})

t.test(
  'while Vault cannot be reached, a token is used until it has expired, then the error is reported',
  async t => {
    const { token } = start(t, one, ['refused', 'refused'], [one])
    await token.get()
    await sleep(800)
    t.equal((await token.get()).reveal(), 'one')
    await sleep(700)
    await t.rejects(token.get(), { message: 'unreachable' })
  }
)

t.test('a dropped token is replaced at the next call, a later one stays', async t => {
  const { token, calls } = start(t, lease('one', 0), [], [lease('one', 0), lease('two', 0)])
  const first = await token.get()
  token.drop(first)
  t.equal((await token.get()).reveal(), 'two')
  token.drop(first)
  t.equal((await token.get()).reveal(), 'two')
  t.same(calls, ['log in', 'log in'])
})

t.test('a failed log-in is tried again at the next call', async t => {
  const { token } = start(t, one, [], [])
  await t.rejects(token.get(), { message: 'unreachable' })
  await t.rejects(token.get(), { message: 'unreachable' })
})
