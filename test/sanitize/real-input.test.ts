import { createHash } from 'node:crypto'
import t from 'tap'
import { stringifyExactly, withExactNumbers } from '../../src/exact-json.ts'
import { customerio, pipelines } from '../../src/sanitize/policy.ts'
import { compileSanitizer, type Sanitizer } from '../../src/sanitize/sanitize.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const ofCustomerio = compileSanitizer(customerio)
const ofPipelines = compileSanitizer(pipelines)

/** From the text of a body to the text of the event's data, as the service does it. */
function sanitize(body: string, sanitizer: Sanitizer = ofCustomerio): string {
  const clean = sanitizer.value(withExactNumbers(JSON.parse(body), body), {
    bodyBytes: Buffer.byteLength(body)
  })
  return stringifyExactly(clean)
}

const unchanged: readonly (readonly [name: string, body: string])[] = [
  ['an id beyond 2^53', '{"data":{"customer_id":8202522731445525542}}'],
  ['ids that look like cards', '{"customer_id":4111111111111111,"userId":4000000000000000006}'],
  ['64 bits of any field', '{"data":{"order":4611686018427387904}}'],
  ['a price and what no number can hold', '{"data":{"price":19.90,"x":1e400,"y":-0}}'],
  ['13 digits as an id', '{"customer_id":"4473000321468","a":{"customer_id":"4473804113525"}}'],
  ['an id that begins with 00', '{"customer_id":"0012345678901"}'],
  ['a social security number as an id', '{"identifiers":{"id":"219-09-9999"}}'],
  [
    'ids of all names',
    '{"event_id":"4111111111111111","userId":"0049 151 12345678","anonymousId":4111111111111111}'
  ]
]

for (const [name, body] of unchanged) {
  t.test(`${name} leaves as it came`, async t => {
    t.equal(sanitize(body), body)
  })
}

t.test('a card number is masked as a number of any size, and only if its check digit is right', async t => {
  t.equal(
    sanitize('{"a":[4111111111111111,4000000000000000006,4000000000000000007,4111111111111111.0]}'),
    '{"a":["[CARD]","[CARD]",4000000000000000007,"[CARD]"]}'
  )
})

t.test('a number is hashed by its digits', async t => {
  t.equal(sanitize('{"email":8202522731445525542}'), `{"email_hash":"${sha256('8202522731445525542')}"}`)
})

t.test('an id that is an address, or holds one, is hashed in place', async t => {
  const rows = [
    ['ada@example.com', 'ada@example.com'],
    [' Ada@Example.com ', 'ada@example.com'],
    ['Ada <ada@example.com>', 'ada@example.com'],
    ['+1 (415) 555-0123', '14155550123'],
    ['user:Ada@example.com', 'user:Ada@example.com'],
    ['sms/+14155550123', 'sms/+14155550123']
  ] as const
  for (const [id, hashed] of rows) {
    for (const name of ['customer_id', 'userId', 'event_id', 'anonymous-id']) {
      t.equal(
        sanitize(JSON.stringify({ [name]: id })),
        JSON.stringify({ [name]: sha256(hashed) }),
        `${name}: ${id}`
      )
    }
  }
})

t.test('the target of an id pointer is an id, also inside an array', async t => {
  const { value } = compileSanitizer(customerio, {
    idPaths: [
      ['message', 'ref'],
      ['rows', '0', 'ref']
    ]
  })
  const ref = '4111111111111111'
  t.strictSame(value({ message: { ref }, rows: [{ ref }], ref }), {
    message: { ref },
    rows: [{ ref }],
    ref: '[CARD]'
  })
  t.strictSame(value({ message: { ref: 'ada@example.com' } }), {
    message: { ref: sha256('ada@example.com') }
  })
})

t.test('subscription preferences are kept, whatever the object type', async t => {
  for (const type of [{ object_type: 'customer' }, { object_type_type: 'email' }, {}]) {
    const event = {
      ...type,
      metric: 'cio_subscription_preferences_changed',
      data: { content: '{"topics":{"topic_7":false,"topic_8":true}}' }
    }
    t.equal(sanitize(JSON.stringify(event)), JSON.stringify(event))
  }
  const flat = {
    event_type: 'customer_cio_subscription_preferences_changed',
    data: { content: '{"topics":{}}' }
  }
  t.equal(sanitize(JSON.stringify(flat)), JSON.stringify(flat))
})

t.test('what preferences hold is sanitized; what is not JSON is redacted', async t => {
  const preferences = (content: unknown) => ({
    object_type: 'customer',
    metric: 'cio_subscription_preferences_changed',
    data: { content }
  })
  const rows: [unknown, unknown][] = [
    [
      '{"email":"ada@example.com","note":"ada@example.com","n":8202522731445525542}',
      `{"email_hash":"${sha256('ada@example.com')}","note":"[EMAIL]","n":8202522731445525542}`
    ],
    [
      { topics: { topic_7: false }, password: 'x' },
      { topics: { topic_7: false }, password: '[REDACTED]' }
    ],
    ['Dear Ada', '[REDACTED]'],
    ['"Dear Ada"', '[REDACTED]'],
    ['{"topics":', '[REDACTED]']
  ]
  for (const [content, kept] of rows) {
    const once = ofCustomerio.value(preferences(content))
    t.strictSame(once, preferences(kept))
    t.strictSame(ofCustomerio.value(once), once)
  }
})

t.test('preferences nested as deep as can be are cut off, and stay so', async t => {
  for (const levels of [1000, 1_000_000]) {
    const content = '['.repeat(levels) + ']'.repeat(levels)
    const event = { metric: 'cio_subscription_preferences_changed', data: { content } }
    const once = ofCustomerio.value(event)
    t.match(JSON.stringify(once), '[REDACTED]')
    t.strictSame(ofCustomerio.value(once), once)
  }
})

t.test('the content of a message stays redacted', async t => {
  const event = { object_type: 'email', metric: 'sent', data: { content: '{"topics":{"topic_7":false}}' } }
  t.equal(sanitize(JSON.stringify(event)), JSON.stringify({ ...event, data: { content: '[REDACTED]' } }))
})

t.test('the event may also be named by the caller', async t => {
  const content = '{"topics":{"topic_7":false}}'
  const event = 'customer.cio_subscription_preferences_changed'
  t.strictSame(ofCustomerio.value({ data: { content } }, { event }), { data: { content } })
})

const identify = {
  type: 'identify',
  messageId: 'm1',
  userId: 'ada@example.com',
  timestamp: '2026-11-26T10:00:00.000Z',
  writeKey: 'wk-made-up',
  traits: {
    firstName: 'Ada',
    lastName: 'Lovelace',
    phone: '020 7946 0958',
    birthday: '1815-12-10',
    address: { street: '1 Made Up Row', postalCode: 'N1' }
  },
  context: {
    ip: '203.0.113.77',
    location: { latitude: 51.5 },
    device: { id: 'device-1', token: 'token-1', name: "Ada's phone" },
    app: { name: 'shop', version: '1.2' },
    page: { url: 'https://x.example/p?token=abc', path: '/p', search: '?token=abc' },
    traits: { email: 'ada@example.com' }
  },
  properties: { plan: 'pro', note: 'call 0207-9460958, token-1' }
}

t.test('an event of Data Pipelines leaves without anything personal, at any depth', async t => {
  t.strictSame(JSON.parse(sanitize(JSON.stringify(identify), ofPipelines)), {
    type: 'identify',
    messageId: 'm1',
    userId: sha256('ada@example.com'),
    timestamp: '2026-11-26T10:00:00.000Z',
    writeKey: '[REDACTED]',
    traits: {
      firstName: '[REDACTED]',
      lastName: '[REDACTED]',
      phone_hash: sha256('02079460958'),
      birthday: '[REDACTED]',
      address: '[REDACTED]'
    },
    context: {
      ip: '[REDACTED]',
      location: '[REDACTED]',
      device: { id_hash: sha256('device-1'), token_hash: sha256('token-1'), name: '[REDACTED]' },
      app: { name: 'shop', version: '1.2' },
      page: { url: 'https://x.example/p', path: '/p', search: '[REDACTED]' },
      traits: { email_hash: sha256('ada@example.com') }
    },
    properties: { plan: 'pro', note: 'call [PHONE], [REDACTED]' }
  })
})

t.test('Data Pipelines: common names of what identifies a person or says where they are', async t => {
  const names =
    'address1 addressLine2 address_line_1 street2 cell cellPhone home_phone workPhone fax lat lng lon ' +
    'registrationToken fcm_token apnsToken android_id gaid imei'
  for (const name of names.split(' ')) {
    for (const event of [{ traits: { [name]: 'made-up-1' } }, { properties: { [name]: 'made-up-1' } }])
      t.notMatch(sanitize(JSON.stringify(event), ofPipelines), 'made-up-1', name)
  }
})

t.test('a page call says the query of its URL again in its properties', async t => {
  const properties = { url: 'https://x.example/p?token=abc', path: '/p?token=abc', search: '?token=abc' }
  t.strictSame(JSON.parse(sanitize(JSON.stringify({ type: 'page', properties }), ofPipelines)), {
    type: 'page',
    properties: { url: 'https://x.example/p', path: '/p', search: '' }
  })
  const search = { type: 'track', properties: { search: 'red shoes' } }
  t.strictSame(JSON.parse(sanitize(JSON.stringify(search), ofPipelines)), search)
})
