import { createHash, createHmac } from 'node:crypto'
import t from 'tap'
import { basic, customerio, definePolicy, type Policy } from '../../src/sanitize/policy.ts'
import { compileSanitizer, MAX_DEPTH, type SanitizerOptions } from '../../src/sanitize/sanitize.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const ada = sha256('ada@example.com')
const poisoned = (value: unknown): unknown => JSON.parse(`{"__proto__":${JSON.stringify(value)},"a":1}`)
const custom = definePolicy({
  extends: 'basic',
  fields: { 'a.b[].c': 'redact', 'user.name': 'hash', token: 'hash' }
})

type Row = [name: string, input: unknown, output: unknown, policy?: Policy, options?: SanitizerOptions]

const rows: Row[] = [
  [
    'a redacted field',
    { ssn: '1', credit_card: 2, password: [3], secret: { a: 4 } },
    { ssn: '[REDACTED]', credit_card: '[REDACTED]', password: '[REDACTED]', secret: '[REDACTED]' },
    basic
  ],
  [
    'a falsy value',
    { ssn: null, credit_card: 0, password: '', secret: false },
    { ssn: '[REDACTED]', credit_card: '[REDACTED]', password: '[REDACTED]', secret: '[REDACTED]' },
    basic
  ],
  [
    'a name in any spelling',
    { creditCard: 1, 'Credit-Card': 2, CREDIT_CARD: 3, credit__card: 4 },
    {
      creditCard: '[REDACTED]',
      'Credit-Card': '[REDACTED]',
      CREDIT_CARD: '[REDACTED]',
      credit__card: '[REDACTED]'
    },
    basic
  ],
  [
    'a field at any depth',
    [[{ a: [{ b: { password: 1 } }] }]],
    [[{ a: [{ b: { password: '[REDACTED]' } }] }]],
    basic
  ],
  ['an e-mail address', { email: ' Ada@Example.com ' }, { email_hash: ada }, basic],
  [
    'an e-mail address under a key',
    { email: ' Ada@Example.com ' },
    { email_hash: createHmac('sha256', 'k').update('ada@example.com').digest('hex') },
    basic,
    { hashKey: 'k' }
  ],
  [
    'a hash whose name is taken before',
    { email_hash: 'x', Email: 'ada@example.com' },
    { email_hash: ada },
    basic
  ],
  [
    'a hash whose name is taken behind',
    { Email: 'ada@example.com', email_hash: 'x' },
    { email_hash: ada },
    basic
  ],
  ['no address', { email: null }, { email_hash: null }, basic],
  [
    'a list of addresses',
    { email: ['ada@example.com', null, 7, true, {}, [1]] },
    { email_hash: [ada, null, sha256('7'), '[REDACTED]', '[REDACTED]', [sha256('1')]] },
    basic
  ],
  ['a number to hash', { email: 7 }, { email_hash: sha256('7') }, basic],
  ['an object to hash', { email: { a: 'ada@example.com' } }, { email_hash: '[REDACTED]' }, basic],
  [
    'a preserved address',
    { _preserveEmail: true, email: 'ada@example.com', a: { email: 'ada@example.com' } },
    { email: 'ada@example.com', a: { email_hash: ada } }
  ],
  [
    'a preserved address under basic',
    { _preserveEmail: true, Email: 'ada@example.com' },
    { Email: 'ada@example.com' },
    basic
  ],
  [
    '_preserveEmail that is not true',
    { _preserveEmail: 'ada', email: 'ada@example.com' },
    { email_hash: ada }
  ],
  [
    'a preserved address that is to be redacted',
    { _preserveEmail: true, email: 'ada@example.com' },
    { email: '[REDACTED]' },
    basic,
    { redactFields: ['email'] }
  ],
  [
    'an object where an address is preserved',
    { _preserveEmail: true, email: { password: 1, a: 'ada@example.com' } },
    { email: { password: '[REDACTED]', a: '[EMAIL]' } }
  ],
  [
    'a field of PII_REDACT_FIELDS',
    { firstName: 'Ada' },
    { firstName: '[REDACTED]' },
    basic,
    { redactFields: ['first_name'] }
  ],
  [
    'a redacted hash',
    { email: 'ada@example.com', email_hash: 'x' },
    { email: '[REDACTED]', email_hash: '[REDACTED]' },
    basic,
    { redactFields: ['emailHash'] }
  ],
  [
    'other text under basic',
    { subject: 'ada@example.com', 'ada@example.com': 4111111111111111 },
    { subject: 'ada@example.com', 'ada@example.com': 4111111111111111 },
    basic
  ],
  [
    'recipients',
    { email_address: 'ada@example.com', recipient: 'Ada@example.com', to: '+14155550100' },
    { email_address_hash: ada, recipient_hash: ada, to_hash: sha256('14155550100') }
  ],
  ['an address in camel case', { emailAddress: 'ada@example.com' }, { email_address_hash: ada }],
  [
    'a message',
    { content: 'x', subject: '', headers: { To: ['x'] } },
    { content: '[REDACTED]', subject: '[REDACTED]', headers: '[REDACTED]' }
  ],
  ['a URL', { href: 'https://x.example/u/ada@example.com?a=b#c' }, { href: 'https://x.example/u/[EMAIL]' }],
  ['a fragment', { href: 'https://x.example/#a?b' }, { href: 'https://x.example/' }],
  ['URLs', { href: ['https://x.example/?a', 1] }, { href: ['https://x.example/', 1] }],
  [
    'a device',
    { recipients: [{ device_id: 'abc', device_platform: 'ios' }], device_id: 'abc' },
    { recipients: [{ device_id_hash: sha256('abc'), device_platform: 'ios' }], device_id: 'abc' }
  ],
  [
    'a customer',
    { customer_id: ' Ada@example.com', identifiers: { id: '+1 415 555 0100' }, id: '4711' },
    { customer_id: ada, identifiers: { id: sha256('14155550100') }, id: '4711' }
  ],
  [
    'a customer with a plain id',
    { customer_id: '4711', identifiers: { id: 4711, cio_id: 'd9c106000001' } },
    { customer_id: '4711', identifiers: { id: 4711, cio_id: 'd9c106000001' } }
  ],
  [
    'a customer whose id holds an address',
    { customer_id: 'user ada@example.com' },
    { customer_id: sha256('user ada@example.com') }
  ],
  [
    'text of any name',
    { failure_message: '550 <ada@example.com> +14155550100 4111 1111 1111 1111 123-45-6789' },
    { failure_message: '550 <[EMAIL]> [PHONE] [CARD] [SSN]' }
  ],
  [
    'a card as a number',
    { a: [4111111111111111, 62e17, 63e17, 1795510800000] },
    { a: ['[CARD]', '[CARD]', 63e17, 1795510800000] }
  ],
  [
    'a number dialled with separators',
    { to: ['+14155550123', '+1 (415) 555-0123', 14155550123] },
    { to_hash: Array(3).fill(sha256('14155550123')) }
  ],
  ['an address with a name', { recipient: 'Ada Lovelace <Ada@Example.com>' }, { recipient_hash: ada }],
  ['two spellings of one name', { to: null, To: 'ada@example.com', TO: 'bob@example.com' }, { to_hash: ada }],
  ['a value that was redacted', { email: '[REDACTED]' }, { email_hash: '[REDACTED]' }],
  [
    'an address as a key beside the name it gets',
    { 'ada@example.com': 1, '[EMAIL]': 2, '[EMAIL] 2': 3, 'bob@example.com': 4 },
    { '[EMAIL] 3': 1, '[EMAIL]': 2, '[EMAIL] 2': 3, '[EMAIL] 4': 4 }
  ],
  [
    'a URL in any field for one',
    {
      url: 'https://x.example/p?a#b',
      page: { url: 'https://x.example/?a' },
      Referrer: 'https://ada:pw@x.example/'
    },
    { url: 'https://x.example/p', page: { url: 'https://x.example/' }, Referrer: 'https://x.example/' }
  ],
  ['addresses as keys', { 'ada@example.com': 1, 'bob@example.com': 2 }, { '[EMAIL]': 1, '[EMAIL] 2': 2 }],
  [
    'a path',
    { a: [{ b: [{ c: 1 }], c: 2 }], b: { c: 3 }, user: { name: 'x' }, name: 'y' },
    { a: [{ b: [{ c: '[REDACTED]' }], c: 2 }], b: { c: 3 }, user: { name_hash: sha256('x') }, name: 'y' },
    custom
  ],
  ['a poisoned prototype', poisoned({ password: 1 }), poisoned({ password: '[REDACTED]' })],
  ['scalars', [true, false, null, 1, -1.5, 'a', ''], [true, false, null, 1, -1.5, 'a', '']],
  ['a lone surrogate', { '\ud800': '\udfff' }, { '\ud800': '\udfff' }],
  ['Infinity', [Number.POSITIVE_INFINITY, Number.NaN], [null, null]],
  [
    'what is not in JSON',
    { a: undefined, b: () => 1, c: Symbol('c'), d: 1n, e: [undefined] },
    { d: '1', e: [null] }
  ],
  [
    'other objects',
    [new Date(0), new Map([['a', 'b']]), Buffer.from('a'), Object('a@b.example')],
    Array(4).fill('[REDACTED]')
  ]
]

for (const [name, input, output, policy = customerio, options = {}] of rows) {
  t.test(`${name} leaves as the policy says`, async t => {
    const sanitizer = compileSanitizer(policy, options)
    const sanitized = sanitizer.value(input)
    t.strictSame(sanitized, output)
    t.equal(JSON.stringify(sanitized), JSON.stringify(output), 'also the order and own __proto__ keys')
    if (!name.includes('preserved'))
      t.strictSame(sanitizer.value(sanitized), output, 'a second pass changes nothing')
  })
}

t.test("Customer.io's example event is clean and otherwise whole", async t => {
  const event = JSON.parse(
    '{"event_id":"01J8ZK6T9QW3E5R7Y1U2I3O4P5","object_type":"email","metric":"opened","timestamp":1795510800,"data":{"customer_id":"4711","identifiers":{"id":"4711","email":"ada@example.com","cio_id":"d9c106000001"},"delivery_id":"RPILAgUBcRhIBqSfeiIwdIYJKxTY","campaign_id":23,"action_id":42,"journey_id":"01GW20GXAAXBKZD8J96M8FNV3R","subject":"Welcome, Ada","recipient":"ada@example.com","proxied":false}}'
  )
  const { identifiers, subject: _, recipient: __, proxied, ...data } = event.data
  t.strictSame(compileSanitizer(customerio).value(event), {
    ...event,
    data: {
      ...data,
      identifiers: { id: '4711', email_hash: ada, cio_id: identifiers.cio_id },
      subject: '[REDACTED]',
      recipient_hash: ada,
      proxied
    }
  })
})

t.test('depth, cycles, shared nodes, throwing getters and proxies do no harm', async t => {
  const { value } = compileSanitizer(customerio)
  for (const levels of [MAX_DEPTH - 2, 10_000, 100_000]) {
    let deep: unknown = { password: 'hunter2' }
    for (let level = 0; level < levels; level++) deep = level % 2 === 0 ? [deep] : { to: 'x', a: deep }
    const written = JSON.stringify(value(deep))
    t.notMatch(written, 'hunter2')
    t.match(written, 'to_hash', 'what is not too deep is still there')
    t.equal(JSON.stringify(value(value(deep))), written)
  }
  const cycle: Record<string, unknown> = {}
  cycle['a'] = cycle
  t.type(JSON.stringify(value(cycle)), 'string')
  let shared: unknown = []
  for (let level = 0; level < 100; level++) shared = [shared, shared]
  t.type(value(shared), Array)
  t.equal(
    value({
      get a() {
        throw new Error('no')
      }
    }),
    '[REDACTED]'
  )
  t.equal(
    value(
      new Proxy(
        {},
        {
          ownKeys() {
            throw new Error('no')
          }
        }
      )
    ),
    '[REDACTED]'
  )
  t.equal(value(undefined), null)
})

t.test('the prototype of what comes out is no key of what went in', async t => {
  const sanitized = compileSanitizer(basic).value(poisoned({ polluted: true }))
  t.equal(Reflect.get(Object(sanitized), 'polluted'), undefined)
  t.equal(Object.getPrototypeOf(sanitized), Object.prototype)
})

t.test('a token that is or holds an address is shown as a hash, any other as it is', async t => {
  const { maskId: token } = compileSanitizer(customerio)
  t.equal(token(' Ada@example.com'), ada)
  t.equal(token('ada@example.com/1'), sha256('ada@example.com/1'))
  for (const id of ['4473000321468', '0012345678901', '4111111111111111', '01J8ZK6T9QW3E5R7Y1U2I3O4P5']) {
    t.equal(token(id), id)
  }
  t.equal(compileSanitizer(basic).maskId('ada@example.com/1'), 'ada@example.com/1')
})

t.test('a rule for the name a hash is written to is refused', async t => {
  const policy = definePolicy({ fields: { a: 'hash', a_hash: 'hash' } })
  t.throws(() => compileSanitizer(policy), { message: /a_hash, which a hash is written to/ })
})
