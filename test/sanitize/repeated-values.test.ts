import t from 'tap'
import { basic, customerio, definePolicy, type Policy, pipelines } from '../../src/sanitize/policy.ts'
import { compileSanitizer } from '../../src/sanitize/sanitize.ts'

const names = definePolicy({ fields: { name: 'hash' } })

type Row = [name: string, event: Record<string, unknown>, text: unknown, masked: unknown, policy?: Policy]

/** The text is tried before and behind the hashed field. */
const rows: Row[] = [
  [
    'a phone number as it was given',
    { recipient: '5551234567' },
    "The 'To' number 5551234567 is not a valid phone number, code 21211",
    "The 'To' number [PHONE] is not a valid phone number, code 21211"
  ],
  ['a number without its plus', { to: '+14155550123' }, 'to 14155550123.', 'to [PHONE].'],
  ['a number without its country code', { to: '+14155550123' }, 'to (415) 555-0123', 'to [PHONE]'],
  ['a number with a national zero', { to: '+442079460958' }, 'an 020 7946 0958', 'an [PHONE]'],
  ['a number with a country code it came without', { to: '415 555 0123' }, '1-415-555-0123', '[PHONE]'],
  ['a number that was given in groups', { to: '(415) 555-0123' }, 'to 4155550123', 'to [PHONE]'],
  ['a short code', { to: '123456' }, 'sent to 123456, 1234567', 'sent to [PHONE], 1234567'],
  ['a number behind an escape', { to: '4155550123' }, 'no route\\n4155550123', 'no route\\n[PHONE]'],
  ['a number in a URL', { to: '4155550123' }, 'x?to=%204155550123&y', 'x?to=%20[PHONE]&y'],
  [
    'a number in digits of other scripts',
    { to: '02079460958' },
    'to ٠٢٠٧٩٤٦٠٩٥٨, ０２０７９４６０９５８',
    'to [PHONE], [PHONE]'
  ],
  ['a number that was given in other digits', { to: '٠٢٠٧٩٤٦٠٩٥٨' }, 'to 020 7946 0958', 'to [PHONE]'],
  ['a number in a script without spaces', { to: '4155550123' }, '电话4155550123。', '电话[PHONE]。'],
  [
    'a number in an encoding inside another',
    { to: '4155550123' },
    'to 415%2520555%25200123, 415&amp;nbsp;555&amp;nbsp;0123, 415=20555=200123',
    'to [PHONE], [PHONE], [PHONE]'
  ],
  ['a number behind an encoded plus', { to: '4155550123' }, 'to %2B14155550123', 'to [PHONE]'],
  ['a number as a number', { to: '4155550123' }, [4155550123, 41555501234], ['[PHONE]', 41555501234]],
  ['a number that was sent as a number', { to: 4155550123 }, 'to 4155550123', 'to [PHONE]'],
  ['digits of a longer number', { to: '5551234567' }, '55512345678 x5551234567 0.5551234567', undefined],
  [
    'a device token',
    { recipients: [{ device_id: 'dK3x:APA91bMadeUp' }] },
    [
      'not registered: dK3x:APA91bMadeUp',
      '(DK3X:apa91bmadeup)',
      'dK3x%3AAPA91bMadeUp',
      'dK3x=3AAPA91bMadeUp',
      '&amp;quot;dK3x&amp;#58;APA91bMadeUp&amp;quot;',
      'トークンdK3x：APA91bMadeUpは無効'
    ],
    [
      'not registered: [REDACTED]',
      '([REDACTED])',
      '[REDACTED]',
      '[REDACTED]',
      '&amp;quot;[REDACTED]&amp;quot;',
      'トークン[REDACTED]は無効'
    ]
  ],
  ['a part of a device token', { recipients: [{ device_id: 'abcdef' }] }, 'abcdefg xabcdef abcde', undefined],
  [
    'a device token in another field of that name',
    { recipients: [{ device_id: 'abc:def' }] },
    { device_id: 'abc:def' },
    { device_id: '[REDACTED]' }
  ],
  [
    'a token that a mask would tear apart',
    { recipients: [{ device_id: 'a1-4111 1111 1111 1111-z9' }] },
    'for a1-4111 1111 1111 1111-z9',
    'for [REDACTED]'
  ],
  [
    'an address where no text is masked',
    { email: 'Ada@example.com' },
    '<ada@EXAMPLE.com>',
    '<[EMAIL]>',
    basic
  ],
  ['an address in an encoding', { email: 'ada@example.com' }, 'u=ada%40example%2Ecom', 'u=[EMAIL]', basic],
  ['an address without a dot', { to: 'ada@localhost' }, 'for ada@localhost', 'for [REDACTED]'],
  [
    'an address with its name',
    { to: 'Ada Lovelace <ada@example.com>' },
    'To: Ada Lovelace <ada@example.com>',
    'To: [EMAIL]'
  ],
  ['words', { name: 'Ada Lovelace' }, 'Dear ADA LOVELACE!', 'Dear [REDACTED]!', names],
  ['short values', { to: 'ada' }, 'ada', undefined],
  ['an address hashed in place', { customer_id: '+14155550123' }, 'to 4155550123', 'to [PHONE]'],
  [
    'a number in traits',
    { traits: { phone: '020 7946 0958' } },
    'call 02079460958',
    'call [PHONE]',
    pipelines
  ],
  ['a value nested in arrays', { to: [['4155550123']] }, [['to 4155550123']], [['to [PHONE]']]],
  ['a number as a key', { to: '4155550123' }, { 4155550123: 1 }, { '[PHONE]': 1 }]
]

for (const [name, event, text, masked = text, policy = customerio] of rows) {
  t.test(`said again: ${name}`, async t => {
    const { value } = compileSanitizer(policy)
    for (const input of [
      { ...event, note: text },
      { note: text, ...event },
      { a: [event], b: { note: text } }
    ]) {
      const once = value(input)
      t.has(once, 'b' in input ? { b: { note: masked } } : { note: masked })
      t.strictSame(value(once), once, 'a second pass changes nothing')
    }
  })
}

t.test('the local part of an address is masked in error texts alone, as a whole word', async t => {
  const { value } = compileSanitizer(customerio)
  const text = '552 user Ada.Lovelace over quota, ada.lovelaces'
  for (const recipient of [
    'ada.lovelace@example.com',
    'Ada.Lovelace+news@example.com',
    'A <ada.lovelace@example.com>'
  ]) {
    t.has(value({ recipient, failure_message: text, note: text, list: [{ failureMessage: [text] }] }), {
      failure_message: '552 user [EMAIL] over quota, ada.lovelaces',
      note: text,
      list: [{ failureMessage: ['552 user [EMAIL] over quota, ada.lovelaces'] }]
    })
  }
  t.has(value({ recipient: 'ada@example.com', failure_message: 'user ada' }), { failure_message: 'user ada' })
})

t.test('ids, times and types are never touched', async t => {
  const { value } = compileSanitizer(customerio)
  const fixed = {
    object_type: 'failed',
    metric: 'failed',
    event_id: '1795510800',
    timestamp: 1795510800,
    customer_id: '1795510800',
    campaign_id: 1795510800,
    delivery_id: 'x-1795510800',
    sentAt: '1795510800',
    created_at: 1795510800,
    identifiers: { id: '1795510800', cio_id: 'failed' }
  }
  t.has(value({ ...fixed, to: '1795510800', recipient: 'failed' }), fixed)
})

t.test('what a field that grew too large hides is masked elsewhere too', async t => {
  const { value } = compileSanitizer(customerio)
  const list = Array.from({ length: 20_000 }, (_, index) => ({ to: 5_550_000_000 + index }))
  const input = { list, note: 'failed for 5550019999' }
  t.strictSame(value(input, { bodyBytes: JSON.stringify(input).length }), {
    list: '[REDACTED]',
    note: 'failed for [PHONE]'
  })
})

t.test('any number of values is looked for in one pass', async t => {
  const { value } = compileSanitizer(customerio)
  const numbers = Array.from({ length: 10_000 }, (_, index) => `${5_550_000_000 + index * 7}`)
  const tokens = Array.from({ length: 10_000 }, (_, index) => `token:abc-${index}`)
  const { notes } = value({
    to: numbers,
    recipients: tokens.map(device_id => ({ device_id })),
    notes: [...numbers, ...tokens].map(text => `failed for ${text}`)
  }) as { notes: string[] }
  const masked = [...numbers.map(() => 'failed for [PHONE]'), ...tokens.map(() => 'failed for [REDACTED]')]
  // As one text: comparing lists item by item takes longer than masking them.
  t.equal(notes.join('\n'), masked.join('\n'))
})
