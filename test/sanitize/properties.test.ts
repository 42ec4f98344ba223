import fc from 'fast-check'
import t from 'tap'
import { isLosslessNumber, LosslessNumber, stringifyExactly } from '../../src/exact-json.ts'
import { textMask } from '../../src/sanitize/mask-text.ts'
import { basic, customerio, pipelines } from '../../src/sanitize/policy.ts'
import { compileSanitizer } from '../../src/sanitize/sanitize.ts'
import { allTextKinds } from '../../src/sanitize/text-kinds.ts'
import { anyText } from '../helpers/any-text.ts'

const numRuns = Number(process.env['PROPERTY_RUNS'] ?? 100)
const check = (property: fc.IRawProperty<unknown>) =>
  fc.assert(property as fc.IRawProperty<unknown>, { numRuns })

const sanitizers = [
  compileSanitizer(customerio),
  compileSanitizer(basic, { hashKey: 'key', redactFields: ['email_hash', 'name'] }),
  compileSanitizer(pipelines, { idPaths: [['a', '0']] })
]
const mask = textMask(allTextKinds)

/** Pieces that meet one another at every edge a pattern has. */
const fragment = fc.constantFrom(
  ...'ada@example.com|@|@b.example|a|.|-|_|"|\\"|\\|/|:|=|&|?|#| |\n|,|[|]|{|}|<|>|<to>|</to>|+|+1 415 555 0100|0049301234567|4111111111111111|4111 1111 1111 1111|123-45-6789|12|1-|(|%40|%2B|%|\\u0040|&#64;|[EMAIL]|[REDACTED]|"[REDACTED]"|password|"password"|"password":|email:|email=|"email":|"to": |id=|"id":"|href|"href":"x?y"|name="to"|null|12,|--|é|。|\ud800|https://|8e03978e-40d5-43e8-bc93-6894a57f9324|\'|(|\\n'.split(
    '|'
  )
)
const text = fc.oneof(
  { weight: 4, arbitrary: fc.array(fragment, { maxLength: 14 }).map(parts => parts.join('')) },
  { weight: 1, arbitrary: anyText() }
)
const key = fc.oneof(
  text,
  fc.constantFrom(
    'email',
    'Email',
    'email_hash',
    'to',
    'ssn',
    'content',
    'href',
    'customer_id',
    'identifiers',
    'id',
    'recipients',
    'device_id',
    'failure_message',
    'phone',
    'url',
    'metric',
    'data',
    '__proto__',
    'toJSON',
    'constructor',
    'name'
  )
)
const json = fc.letrec(tie => ({
  value: fc.oneof(
    { depthSize: 'small' },
    text,
    fc.double(),
    fc.bigInt({ min: 10n ** 12n, max: 10n ** 19n }).map(Number),
    fc.constantFrom<unknown>(
      null,
      true,
      0,
      '',
      'cio_subscription_preferences_changed',
      '{"to":["ada@example.com"]}'
    ),
    fc.constantFrom('8202522731445525542', '19.90', '1e400').map(digits => new LosslessNumber(digits)),
    tie('array'),
    tie('object')
  ),
  array: fc.array(tie('value'), { maxLength: 4 }),
  object: fc.array(fc.tuple(key, tie('value')), { maxLength: 5 }).map(entries => Object.fromEntries(entries))
})).value

t.test('any JSON value: a second pass changes nothing, the input stays, the output is its own', async t => {
  for (const { value } of sanitizers) {
    check(
      fc.property(json, input => {
        const asItWas = stringifyExactly(input)
        const once = value(input)
        const written = stringifyExactly(once)
        if (stringifyExactly(value(once)) !== written) throw new Error(`not idempotent: ${written}`)
        if (stringifyExactly(input) !== asItWas) throw new Error('the input was changed')
        const isShared = once === input && typeof input === 'object' && !isLosslessNumber(input)
        if (isShared && input !== null) throw new Error('not a new value')
      })
    )
  }
  t.pass()
})

t.test('any value at all: nothing throws, the output can be written', async t => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withTypedArray: true,
    withSparseArray: true,
    withBoxedValues: true
  })
  for (const { value } of sanitizers) {
    check(
      fc.property(anything, input => {
        const written = JSON.stringify(value(input))
        if (typeof written !== 'string') throw new Error('not JSON')
        if (JSON.stringify(value(JSON.parse(written))) !== written)
          throw new Error(`not idempotent: ${written}`)
      })
    )
  }
  t.pass()
})

t.test('any text: a second pass changes nothing', async t => {
  check(
    fc.property(text, input => {
      if (mask(mask(input)) !== mask(input))
        throw new Error(`not idempotent:\n${mask(input)}\n${mask(mask(input))}`)
    })
  )
  t.pass()
})

const email = 'canary.person@secret-host.example'
const canaries = [email, '+14155550199', '5555555555554444', '5555 5555 5555 4444', '219-09-9999', 'hunter2']
const personal = fc.constantFrom(email, email.replace('@', '%40'), ...canaries.slice(1, 5))
const before = fc.constantFrom('', ' ', 'a ', '(', ': ', '\n', '"', '<', ',', 'é', 'x_', '=')
const after = fc.constantFrom('', ' ', ' b', ')', ': ', '\n', '"', '>', ',', '; ', '\\')
const planted = fc.tuple(before, personal, after).map(parts => parts.join(''))
const secretField = fc.tuple(
  fc.constantFrom('password', 'SSN', 'creditCard', 'Secret', 'content', 'subject', 'headers', 'to', 'e_mail'),
  fc.constantFrom<unknown>('hunter2', ['hunter2'], 'a "hunter2', { a: { hunter2: 1 } }, '\nhunter2\\')
)
const decoys = [
  '01J8ZK6T9QW3E5R7Y1U2I3O4P5',
  '1795510800000',
  'dgOlAgUBAZ-41_11==',
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'
]
const payload = fc.letrec<{ value: unknown; array: unknown; object: unknown }>(tie => ({
  value: fc.oneof(
    { depthSize: 'medium' },
    planted,
    fc.constant(5555555555554444),
    tie('array'),
    tie('object')
  ),
  array: fc.array(tie('value'), { minLength: 1, maxLength: 3 }),
  object: fc
    .tuple(
      fc.dictionary(fc.oneof(planted, fc.constantFrom('a', 'customer', 'failure_message')), tie('value'), {
        maxKeys: 3
      }),
      secretField
    )
    .map(([rest, [name, secret]]) => ({ ...rest, [name]: secret, email, decoys }))
})).object

function leak(written: string): string | undefined {
  const host = written.includes('secret-host') ? 'secret-host' : undefined
  return host ?? canaries.find(canary => written.includes(canary))
}

/** `@` and `+` as JSON may escape them. */
const escaped = (written: string) =>
  written.replace(/[@+]/g, sign => `\\u00${sign.charCodeAt(0).toString(16)}`)

t.test('no canary leaves in a value, and what only looks like one does', async t => {
  const { value } = compileSanitizer(customerio)
  check(
    fc.property(payload, fc.boolean(), (input, unicode) => {
      const raw = unicode ? escaped(JSON.stringify(input)) : JSON.stringify(input)
      const written = JSON.stringify(value(JSON.parse(raw)))
      if (leak(written) !== undefined) throw new Error(`${leak(written)} in ${written}`)
      const gone = decoys.find(decoy => !written.includes(decoy))
      if (gone !== undefined) throw new Error(`${gone} is gone from ${written}`)
    })
  )
  t.pass()
})
