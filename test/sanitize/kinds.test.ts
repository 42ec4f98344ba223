import fc from 'fast-check'
import t from 'tap'
import { stringifyExactly, withExactNumbers } from '../../src/exact-json.ts'
import { isCard } from '../../src/sanitize/card.ts'
import { basic, customerio, pipelines } from '../../src/sanitize/policy.ts'
import { compileSanitizer, type Sanitizer } from '../../src/sanitize/sanitize.ts'

const numRuns = Number(process.env['PROPERTY_RUNS'] ?? 100)
const check = (property: fc.IRawProperty<unknown>) =>
  fc.assert(property as fc.IRawProperty<unknown>, { numRuns })

const sanitizers: readonly Sanitizer[] = [
  compileSanitizer(customerio),
  compileSanitizer(pipelines, { hashKey: 'key' }),
  compileSanitizer(basic)
]
const [ofCustomerio] = sanitizers as [Sanitizer]

function sanitized({ value }: Sanitizer, body: string): string {
  return stringifyExactly(
    value(withExactNumbers(JSON.parse(body), body), { bodyBytes: Buffer.byteLength(body) })
  )
}

// Ids: what they are, in one of their spellings.

const digits = (min: number, max: number) =>
  fc.stringMatching(new RegExp(`^[1-9]\\d{${min - 1},${max - 1}}$`))
const word = fc.stringMatching(/^[a-z]{1,8}$/)
const email = fc.tuple(word, word).map(([local, host]) => `${local}@${host}.example`)
const phone = digits(9, 13)
/** Texts that are alike but for a few characters. One person has one `is`: other texts are ids of their own. */
const alike: fc.Arbitrary<readonly { text: string; is: string }[]> = fc
  .record({ word, email, phone, digits: digits(13, 19), any: fc.string() })
  .map(({ word, email, phone, digits, any }) => [
    { text: email, is: email },
    { text: ` ${email.toUpperCase()}`, is: email },
    { text: `${word} <${email}>`, is: email },
    { text: `+${phone}`, is: `+${phone}` },
    { text: `+${phone.slice(0, 2)} ${phone.slice(2, 5)}-${phone.slice(5)}`, is: `+${phone}` },
    ...[
      `user:${email}`,
      `USER:${email}`,
      `mailto:${email}`,
      `${email}/1`,
      `${email} `.repeat(2),
      `sms:+${phone}`,
      phone,
      `00${phone}`,
      `0${phone}`,
      `${phone}0`,
      digits,
      `00${digits}`,
      `${digits} `,
      any,
      // Not only blanks or backslashes before it: that is another spelling of the address.
      `${word}${any}+${phone}`,
      '4111111111111111',
      '4111 1111 1111 1111',
      '219-09-9999',
      '219099999'
    ].map(text => ({ text, is: text }))
  ])
const twoIds = alike.chain(ids => fc.tuple(fc.constantFrom(...ids), fc.constantFrom(...ids)))
const idFields = ['customer_id', 'userId', 'anonymous_id', 'event_id', 'Customer-Id']

t.test('two ids stay two, whatever they look like, and none becomes a mask word', async t => {
  for (const sanitizer of sanitizers.slice(0, 2)) {
    check(
      fc.property(twoIds, fc.constantFrom(...idFields), ([one, other], field) => {
        const [first, second] = [one, other].map(({ text }) =>
          JSON.stringify(sanitizer.value({ data: { [field]: text } }))
        )
        if (first === second && one.is !== other.is) throw new Error(`${one.text}, ${other.text}: ${first}`)
        if (/\[(?:EMAIL|PHONE|CARD|SSN|REDACTED)\]/.test(first ?? '') && !one.text.includes('[')) {
          throw new Error(`${one.text} became ${first}`)
        }
        const shown = sanitizer.maskId(one.text)
        if (shown !== sanitizer.maskId(shown)) throw new Error(`${one.text}: not idempotent`)
      })
    )
  }
  t.pass()
})

t.test('an address in an id has one hash in all its spellings', async t => {
  const spellings = fc.oneof(
    email.map(address => [address, ` ${address.toUpperCase()} `, `Ada <${address}>`]),
    phone.map(number => [`+${number}`, `+${number.slice(0, 2)} (${number.slice(2, 5)}) ${number.slice(5)}`])
  )
  check(
    fc.property(spellings, fc.constantFrom(...idFields), (texts, field) => {
      const shown = new Set(texts.map(text => JSON.stringify(ofCustomerio.value({ [field]: text }))))
      if (shown.size !== 1) throw new Error([...shown].join())
    })
  )
  t.pass()
})

t.test('two ids that are JSON numbers stay two', async t => {
  const integer = fc.bigInt({ min: 1n, max: 10n ** 25n }).map(String)
  check(
    fc.property(integer, fc.constantFrom(...idFields), (number, field) => {
      const body = `{"${field}":${number}}`
      if (sanitized(ofCustomerio, body) !== body) throw new Error(sanitized(ofCustomerio, body))
    })
  )
  t.pass()
})

t.test('numbers leave with the digits they came with, but for card numbers', async t => {
  const integer = fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }).map(String)
  const decimal = fc.tuple(integer, fc.stringMatching(/^\d{0,20}[1-9]$/)).map(parts => parts.join('.'))
  const exponent = fc.tuple(decimal, fc.integer({ min: -400, max: 400 })).map(([head, e]) => `${head}e${e}`)
  check(
    fc.property(fc.oneof(integer, decimal, exponent), number => {
      const body = `{"a":[${number}]}`
      const isLikeCard = isCard(number.replace('-', ''))
      if (sanitized(ofCustomerio, body) !== body && !isLikeCard)
        throw new Error(sanitized(ofCustomerio, body))
    })
  )
  t.pass()
})

// Hashed values that stand elsewhere in their event.

const grouped = (number: string) =>
  fc.constantFrom(
    number,
    `${number.slice(0, 3)}-${number.slice(3, 6)}-${number.slice(6)}`,
    `+1${number}`,
    `1 ${number}`
  )
const token = fc.stringMatching(/^[a-z]\w{2,8}[:-][A-Za-z0-9]{4,30}$/)
const repeated = fc.oneof(
  digits(10, 10).chain(number =>
    grouped(number).map(said => ({ field: { recipient: number }, said, trace: number.slice(6) }))
  ),
  token.map(value => ({ field: { recipients: [{ device_id: value }] }, said: value, trace: value })),
  token.map(value => ({ field: { to: [value] }, said: value.toUpperCase(), trace: value.toUpperCase() })),
  fc
    .stringMatching(/^[a-z]{3,8}\.[a-z]{3,8}$/)
    .map(local => ({ field: { recipient: `${local}@x.example` }, said: local, trace: local }))
)
const around = fc.tuple(
  fc.constantFrom('', ' ', 'to ', "The '", '(', '"', 'to=', '<', '\n', '\\n', '%20', 'user: '),
  fc.constantFrom('', ' ', '.', "' is not", ')', '"', '&x=1', '>', ', code 21211', '\\n', '%20')
)
/** Of the places, only error texts lose the local part of an address. */
const places: readonly ((text: string) => Record<string, unknown>)[] = [
  text => ({ failure_message: text }),
  text => ({ failure_message: [{ failureMessage: [text] }] }),
  text => ({ list: [{ failure_message: text }] }),
  text => ({
    metric: 'cio_subscription_preferences_changed',
    data: { content: JSON.stringify({ failure_message: text }) }
  })
]

t.test('no hashed value is legible elsewhere in its event', async t => {
  check(
    fc.property(
      repeated,
      around,
      fc.constantFrom(...places),
      fc.boolean(),
      (value, [before, after], place, first) => {
        const said = place(`${before}${value.said}${after}`)
        const event = first ? { ...said, a: [value.field] } : { a: [value.field], ...said }
        const written = JSON.stringify(ofCustomerio.value(event))
        const rest = written.replace(/"[0-9a-f]{64}"/g, '')
        if (rest.includes(value.trace)) throw new Error(`${value.trace} in ${rest}`)
        if (JSON.stringify(ofCustomerio.value(JSON.parse(written))) !== written)
          throw new Error('not idempotent')
      }
    )
  )
  t.pass()
})

t.test('a body of any shape grows to at most four times its size', async t => {
  const unit = fc.letrec<{ value: unknown }>(tie => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.constantFrom<unknown>('', 0, null, 'a@b.cd', '+14155550', 4111111111111111, [], {}),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('to', 'ssn', 'email', 'a', 'a@b.cd', 'customer_id'), tie('value'), {
        maxKeys: 3
      })
    )
  })).value
  fc.assert(
    fc.property(unit, fc.constantFrom('list', 'email', 'customer_id', 'href', 'a@b.cd'), (value, field) => {
      const size = JSON.stringify(value).length + 1
      const event = { [field]: Array(Math.ceil(100_000 / size)).fill(value), end: 'x' }
      const body = JSON.stringify(event)
      for (const { value: sanitize } of sanitizers) {
        const once = sanitize(event, { bodyBytes: body.length })
        const written = JSON.stringify(once)
        if (written.length > 4 * body.length) throw new Error(`${body.length} became ${written.length}`)
        if (!written.endsWith('"end":"x"}')) throw new Error('the other field is gone')
        if (JSON.stringify(sanitize(once)) !== written) throw new Error('not idempotent')
      }
    }),
    { numRuns: Math.ceil(numRuns / 15) }
  )
  t.pass()
})
