import fc from 'fast-check'
import t from 'tap'
import { isCardNumber } from '../../src/sanitize/card.ts'
import { maskEmails } from '../../src/sanitize/email-text.ts'
import { maskNumbers } from '../../src/sanitize/number-text.ts'
import { isAddress, textMask } from '../../src/sanitize/personal-text.ts'
import { allTextKinds } from '../../src/sanitize/policy.ts'

const mask = textMask(allTextKinds)

const masked: [name: string, input: string, output: string][] = [
  ['a plain address', 'mail to ada@example.com bounced', 'mail to [EMAIL] bounced'],
  ['an address in angle brackets', 'Ada <ada+x@mail.example.co.uk>.', 'Ada <[EMAIL]>.'],
  ['an address with rare characters', "o'brien!#$%/x=y@example.com", '[EMAIL]'],
  ['an international address', 'für ädä@exämple.рф!', 'für [EMAIL]!'],
  ['an address with ideographic dots', 'ada@example。com', '[EMAIL]'],
  ['an address between Chinese punctuation', '地址：ada@example.com。', '地址：[EMAIL]。'],
  ['a quoted local part', 'to "ada lovelace"@example.com', 'to [EMAIL]'],
  ['a quoted local part with an escaped quote', '"ada \\" l"@example.com', '[EMAIL]'],
  ['an address literal', 'ada@[192.168.0.1]', '[EMAIL]'],
  ['an IPv6 address literal', 'ada@[IPv6:2001:db8::1]', '[EMAIL]'],
  ['an at sign encoded for a URL', 'ada%40example.com', '[EMAIL]'],
  ['an at sign encoded twice', 'ada%2540example%2Ecom', '[EMAIL]'],
  ['an at sign escaped for JSON', 'ada\\u0040example.com', '[EMAIL]'],
  ['an at sign escaped for HTML', 'ada&#64;example.com', '[EMAIL]'],
  ['an address in a path', 'https://x.example/u/ada@example.com/edit', 'https://x.example/u/[EMAIL]/edit'],
  ['a login in a URL', 'https://ada:pw@example.com/', 'https://ada:[EMAIL]/'],
  ['two addresses', 'a@b.example,c@d.example', '[EMAIL],[EMAIL]'],
  ['a number with spaces', 'call +1 415 555 0100 now', 'call [PHONE] now'],
  ['a number with everything', '+49 (0) 30 - 123.456', '[PHONE]'],
  ['a number with no-break spaces', '+44\u00a020\u00a07946\u00a00958', '[PHONE]'],
  ['a plus encoded for a URL', 'tel=%2B14155550100', 'tel=[PHONE]'],
  ['a dialled number', 'call 0049301234567.', 'call [PHONE].'],
  ['a number after a Chinese word', '电话+8613800138000已', '电话[PHONE]已'],
  ['two numbers without a space', '+14155550100+14155550101', '[PHONE][PHONE]'],
  ['a number and a card', '+1 415 555 0100 4111 1111 1111 1111', '[PHONE] [CARD]'],
  ['a number and a social security number', '+14155550100 123-45-6789', '[PHONE] [SSN]'],
  ['a Visa card', 'card 4111111111111111 declined', 'card [CARD] declined'],
  ['a card in groups before a date', '4111 1111 1111 1111 12/28', '[CARD] 12/28'],
  ['a card in groups after a number', '12 4111 1111 1111 1111', '12 [CARD]'],
  ['two cards that share groups', '4008 4111 1111 1111 1111', '[CARD]'],
  ['an address in a quoted local part', '"id":"ada@example.com"@b.example', '"id":"[EMAIL]"@b.example'],
  ['a card with dashes', '5555-5555-5555-4444', '[CARD]'],
  ['a Mastercard of the second range', '2223003122003222', '[CARD]'],
  ['an American Express card', '3782 822463 10005', '[CARD]'],
  ['a Diners Club card', '30569309025904', '[CARD]'],
  ['a Discover card', '6011111111111117', '[CARD]'],
  ['a JCB card', '3530111333300000', '[CARD]'],
  ['a UnionPay card', '6200000000000005', '[CARD]'],
  ['a Maestro card', '6759649826438453', '[CARD]'],
  ['a Mir card', '2200123456789019', '[CARD]'],
  ['a card after an underscore', 'card_4111111111111111', 'card_[CARD]'],
  ['a card after a plus', '+4111111111111111', '+[CARD]'],
  ['a social security number', 'ssn 123-45-6789.', 'ssn [SSN].'],
  ['a social security number with spaces', '123 45 6789', '[SSN]']
]

for (const [name, input, output] of masked) {
  t.test(`${name} is masked, once and for all`, async t => {
    t.equal(mask(input), output)
    t.equal(mask(output), output)
  })
}

export const decoys = [
  '1795510800',
  '1795510800000',
  '1795510800000000',
  '01J8ZK6T9QW3E5R7Y1U2I3O4P5',
  '01234567890123456789012345',
  'd9c106000001',
  '8e03978e-40d5-43e8-bc93-6894a57f9324',
  '41111111-1111-1111-8abc-0123456789ab',
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  'a4111111111111111b',
  'RPILAgUBcRhIBqSfeiIwdIYJKxTY',
  'dgOlAgUBAZ-41111_11111111=11==',
  '2026-11-24T10:33:00.123456+01:00',
  'Tue, 24 Nov 2026 10:33:00 +0000',
  '2026-11-24 10:33:00 +1030',
  'v1.22.333-4',
  '1,234,567.89 USD',
  '+12.50',
  '0.00123456789012',
  '192.168.100.200',
  '2001:db8::1234:5678',
  '4111111111111112',
  '4111 1111 1111 1112',
  '1111111111111117',
  '000-12-3456',
  '666-12-3456',
  '912-12-3456',
  '12123-45-6789',
  '123-45-67890',
  '@ada',
  'ada@localhost',
  'https://medium.example/@ada.lovelace',
  '{"to":"@ada.example"}',
  'a + b & c % d \\ e'
]

for (const decoy of decoys) {
  t.test(`${decoy} only looks like personal text and stays`, async t => {
    t.equal(mask(decoy), decoy)
    t.equal(mask(`at ${decoy}, so`), `at ${decoy}, so`)
  })
}

t.test('only the kinds a policy names are masked', async t => {
  const text = 'ada@example.com +14155550100 4111111111111111 123-45-6789'
  t.equal(textMask([])(text), text)
  t.equal(textMask(['email'])(text), '[EMAIL] +14155550100 4111111111111111 123-45-6789')
  t.equal(textMask(['phone'])('a@b.example +14155550100'), 'a@b.example [PHONE]')
  t.equal(textMask(['card'])(text), 'ada@example.com +14155550100 [CARD] 123-45-6789')
  t.equal(textMask(['ssn'])(text), 'ada@example.com +14155550100 4111111111111111 [SSN]')
})

const addresses: [text: string, is: boolean][] = [
  ['ada@example.com', true],
  ['  Ada@Example.com\n', true],
  ['+1 415 555 0100', true],
  ['004915112345678', true],
  ['4711', false],
  ['ada', false],
  ['ada@example.com or not', false],
  ['[EMAIL]', false],
  ['', false]
]

for (const [text, is] of addresses) {
  t.test(`${JSON.stringify(text)} is ${is ? 'an' : 'no'} address`, async t => {
    t.equal(isAddress(text), is)
  })
}

const numbers: [value: number, is: boolean][] = [
  [4111111111111111, true],
  [-4111111111111111, true],
  [4111111111111111.5, true],
  [4111111111111112, false],
  [4222222222222, true],
  [4e18, true],
  [1795510800000, false],
  [1795510800000000, false],
  [1.7955108e18, false],
  [Number.NaN, false],
  [Number.POSITIVE_INFINITY, false],
  [0, false]
]

for (const [value, is] of numbers) {
  t.test(`the number ${value} is ${is ? 'a' : 'no'} card`, async t => {
    t.equal(isCardNumber(value), is)
  })
}

/** Enough for a pattern that goes over the text again and again to need minutes. 5120 is the largest body. */
const KIB = Number(process.env['HOSTILE_KIB'] ?? 96)
const pieces =
  'a|1|+|+1 |1-|12 |@|@a.|"|"@|"@a.b|%40|%|\\u0040|&#64;|&|a@|a.|.|@@|+1+|0049|4111 1111 1111 |411-11-1111 |https://|/|{|é|。|٣| '
for (const piece of pieces.split('|')) {
  t.test(`${KIB} KiB of ${JSON.stringify(piece)} take no longer than their length asks for`, async t => {
    const text = piece.repeat(Math.ceil((KIB * 1024) / piece.length))
    const before = process.cpuUsage()
    mask(text)
    const ms = process.cpuUsage(before).user / 1000 // not the clock's: other processes may be busy
    t.ok(ms < KIB * 16, `${ms} ms`)
  })
}

t.test('the cheap test lets nothing through that the masks would change', async () => {
  const pieces = fc.constantFrom(
    ...['4', '41', '4111', '1111', '123', '45', '6789', '0049', '4111111111111111', '378282246310005'],
    ...[
      'a',
      'f',
      'z',
      'é',
      '电',
      '_',
      '.',
      ' ',
      '-',
      '/',
      '(',
      ':',
      '+',
      '%2B',
      '@',
      '%40',
      '＠',
      '＋',
      '\\',
      '&#64;'
    ]
  )
  const text = fc.array(pieces, { maxLength: 14 }).map(parts => parts.join(''))
  const kinds = new Set(allTextKinds)
  fc.assert(
    fc.property(text, text => mask(text) === maskNumbers(maskEmails(text), kinds)),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 5000) }
  )
})
