import fc from 'fast-check'
import t from 'tap'
import { isCard } from '../../src/sanitize/card.ts'
import { isAddress, maskText, textMask } from '../../src/sanitize/mask-text.ts'
import { mayBePersonal } from '../../src/sanitize/prefilter.ts'
import { allTextKinds } from '../../src/sanitize/text-kinds.ts'
import { anyText } from '../helpers/any-text.ts'

const numRuns = Number(process.env['PROPERTY_RUNS'] ?? 500)
const check = <T>(arbitrary: fc.Arbitrary<T>, judge: (value: T) => void) =>
  fc.assert(fc.property(arbitrary, judge), { numRuns })
const kinds = new Set(allTextKinds)
const mask = textMask(allTextKinds)
const pick = fc.constantFrom

const digit = fc.integer({ min: 0, max: 9 })
const digits = (length: number) =>
  fc.array(digit, { minLength: length, maxLength: length }).map(list => list.join(''))

/** Cuts digits into groups of these sizes, with separators between them. */
function grouped(number: string, sizes: readonly number[], separator: string): string {
  const groups: string[] = []
  let from = 0
  for (const size of sizes) {
    groups.push(number.slice(from, from + size))
    from += size
  }
  return [...groups, number.slice(from)].filter(group => group !== '').join(separator)
}

/** Completes a card number with its check digit. */
const withCheckDigit = (start: string) =>
  [...'0123456789'].map(last => start + last).find(number => isCard(number)) ?? ''

const blanks = ['', ' ', '\u00a0', '\u2009', '-', '\u2011', '.', '/', ' - ', '  ']
const phone = fc
  .tuple(
    pick('+', '\uff0b', '00'),
    pick('1', '44', '49', '351', '966', '7'),
    digits(10),
    pick<readonly number[]>([], [3, 3], [2, 4], [3, 7], [2, 2, 2, 2]),
    pick(...blanks),
    pick('', ' ', '(0)', ' (0) ', '-')
  )
  // The third digit of +1 numbers is not 0 or 1: `+1000` is a time zone.
  .map(([plus, code, number, sizes, separator, after]) => {
    const national = grouped(number.replace(/^[01]/, '2'), sizes, separator)
    return {
      written: `${plus}${code}${after === '' ? separator : after}${national}`,
      secret: number.slice(-6)
    }
  })
  .filter(({ written }) => !/^[+\uff0b]\d{1,3}\.\d+$/.test(written)) // may be a coordinate
const card = fc
  .tuple(
    pick('411111', '555512', '371449', '353011', '601100', '620000', '220212'),
    digits(9),
    pick<readonly number[]>([4, 4, 4], [4, 6], [6, 6], [8], []),
    pick(...blanks, '\t', '+', '\u3000', '. ')
  )
  .map(([issuer, rest, sizes, separator]) => {
    const number = withCheckDigit((issuer + rest).slice(0, issuer.startsWith('37') ? 14 : 15))
    return { written: grouped(number, sizes, separator), secret: number.slice(-8) }
  })
const ssn = fc
  .tuple(
    fc.integer({ min: 1, max: 899 }).filter(area => area !== 666),
    fc.integer({ min: 1, max: 99 }),
    fc.integer({ min: 1, max: 9999 }),
    pick('-', ' ', '.', '/', '\u2013', '\t', '  ', ' - ', '+')
  )
  .map(([area, group, serial, separator]) => {
    const number = `${String(area).padStart(3, '0')}${String(group).padStart(2, '0')}${String(serial).padStart(4, '0')}`
    return { written: grouped(number, [3, 2], separator), secret: number.slice(-6) }
  })
const email = fc
  .tuple(
    pick('ada.lovelace', 'ada', 'a_b-c', "o'brien", 'ada+news', '4711', 'грета', '"ada lovelace"'),
    pick('example.com', 'mail.example.co.uk', 'exämple.рф', 'x-y.museum', 'xn--bcher-kva.example', '163.com'),
    pick('@', '\uff20')
  )
  .map(([local, domain, at]) => ({
    written: local + at + domain,
    secret: domain.slice(0, 5)
  }))
const personal = fc.oneof(phone, card, ssn, email)

/** Digits in another script; a number is never written in two. */
const scripts = [0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0xff10, 0x1d7ce, 0x1e950]
const inScript = (text: string, zero: number) =>
  text.replace(/\d/g, value => String.fromCodePoint(zero + Number(value)))

const named: Readonly<Record<string, string>> = {
  '@': '&commat;',
  '+': '&plus;',
  '.': '&period;',
  ' ': '&nbsp;',
  '/': '&sol;',
  '(': '&lpar;',
  '\t': '&Tab;'
}
const percent = (text: string) =>
  [...Buffer.from(text)].map(byte => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
const unicode = (text: string) => text.replace(/./gsu, escapedUnits)
const escapedUnits = (character: string) =>
  [...Array(character.length).keys()]
    .map(index => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
    .join('')

/** Ways to encode one character. */
const encodings: Readonly<Record<string, (character: string) => string>> = {
  plain: character => character,
  percent,
  percentTwice: character => percent(character).replaceAll('%', '%25'),
  percentThrice: character => percent(character).replaceAll('%', '%2525'),
  unicode,
  unicodeTwice: character => unicode(character).replaceAll('\\', '\\\\'),
  hexEscape: character =>
    character < '\u0100' ? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}` : unicode(character),
  decimalEntity: character => `&#${String(character.codePointAt(0)).padStart(4, '0')};`,
  hexEntity: character => `&#x${character.codePointAt(0)?.toString(16)};`,
  entityInEntity: character => `&amp;#${character.codePointAt(0)};`,
  namedEntity: character => named[character] ?? character,
  backslash: character => (/[!-/:-@[-`{-~]/.test(character) ? `\\${character}` : character),
  percentEntity: character => percent(`&#${character.codePointAt(0)};`),
  quotedPrintable: character => percent(character).replaceAll('%', '=')
}
/** Encoders encode the signs, or all that is not ASCII, not the digits and letters. */
const encode = (text: string, encoding: string) =>
  text.replace(/[^A-Za-z0-9]/gu, character => encodings[encoding]?.(character) ?? character)

const before = pick(
  '',
  'a ',
  '(',
  ': ',
  '\n',
  '"',
  '<',
  ',',
  'é',
  '=',
  'to:',
  '{"to":"',
  'no route\\n',
  'x%20',
  'x\\t',
  '&nbsp;',
  '&lt;',
  '%22',
  'x%2520',
  '=\n',
  'Failed+to+',
  'x?y=',
  'x&z=',
  '~'
)
const after = pick(
  '',
  ' b',
  ')',
  ': ',
  '\n',
  '"',
  '>',
  ',',
  '; ',
  '\\n',
  '%20',
  '%2520',
  '&nbsp;',
  '&gt;',
  '=20',
  '\\"}',
  '+and',
  '&x=1',
  ' at 10:00',
  '.'
)

const planted = fc
  .tuple(before, personal, after, pick(...Object.keys(encodings)), pick(0, ...scripts), fc.boolean())
  .map(([before, { written, secret }, after, drawn, zero, soft]) => {
    const encoding = /\d\+\d/.test(written) ? 'plain' : drawn // a plus for a space is not encoded once more
    const translated = zero === 0 || /[@\uff20]/.test(written) ? written : inScript(written, zero)
    const encoded = encode(translated, encoding)
    const characters = [...translated]
    const middle = Math.floor(characters.length / 2)
    const split = [characters.slice(0, middle), characters.slice(middle)]
      .map(half => encode(half.join(''), encoding))
      .join('=\r\n')
    return {
      // A bare equals sign, or a plus after one that stands for a space, would be encoded as well.
      isPossible:
        !(encoding === 'quotedPrintable' && before.endsWith('=')) && !`${before}${encoded}`.includes('++'),
      secret: secret.replace(/\D/g, '') === secret && zero !== 0 ? inScript(secret, zero) : secret,
      before,
      after,
      isEmail: /[@\uff20]/.test(written),
      text: before + (soft && encoding === 'quotedPrintable' ? split : encoded) + after
    }
  })
  .filter(({ isPossible }) => isPossible)

/** The letters and digits of a text. */
const letters = (text: string) => text.replace(/[^\p{L}\p{Nd}]/gu, '')

t.test('no personal value survives, whatever it is encoded in and written with', async t => {
  check(planted, ({ text, secret }) => {
    const masked = mask(text)
    if (!/\[(?:EMAIL|PHONE|CARD|SSN)\]/.test(masked) || letters(masked).includes(letters(secret))) {
      throw new Error(`${secret} is left in\n${JSON.stringify(text)}\n${JSON.stringify(masked)}`)
    }
  })
  t.pass()
})

t.test('what is encoded before and after a personal value stays', async t => {
  const isEncoded = /^$|[\\%&]/
  check(planted, ({ before, after, text }) => {
    const masked = mask(text)
    const keptBefore = !isEncoded.test(before) || before === 'x&z=' || masked.startsWith(before)
    if (!keptBefore || (isEncoded.test(after) && !masked.endsWith(after))) {
      throw new Error(`${JSON.stringify(text)}\n${JSON.stringify(masked)}`)
    }
  })
  t.pass()
})

const hex = (length: number) =>
  fc.array(pick(...'0123456789abcdef'), { minLength: length, maxLength: length }).map(list => list.join(''))
const upTo = (max: number) => fc.integer({ min: 0, max })
const two = (value: number) => String(value).padStart(2, '0')
const version = fc
  .tuple(
    pick('', 'v'),
    fc.array(upTo(400), { minLength: 2, maxLength: 3 }),
    pick('', '-beta.1', '-rc', '.tgz')
  )
  .map(([v, numbers, suffix]) => `${v}${numbers.join('.')}${suffix}`)
const time = fc.tuple(upTo(23), upTo(59), upTo(59)).map(parts => parts.map(two).join(':'))
const coordinate = fc
  .tuple(pick('+', '-'), upTo(89), digits(7), pick('+', '-'), upTo(179), digits(6), pick(',', ', ', ' ', '/'))
  .map(
    ([a, latitude, x, b, longitude, y, separator]) => `${a}${latitude}.${x}${separator}${b}${longitude}.${y}`
  )
const harmless = fc.oneof(
  digits(16).map(fraction => `0.${fraction}`),
  fc.tuple(upTo(999), digits(15)).map(([whole, fraction]) => `${whole}.${fraction}`),
  fc
    .tuple(
      pick('hero', 'icon', 'a/b-c'),
      pick('1.5', '2', '3'),
      pick('', '-dark', '~ipad'),
      pick('png', 'jpg', 'webp', 'svg')
    )
    .map(([name, density, suffix, extension]) => `${name}@${density}x${suffix}.${extension}`),
  fc
    .tuple(pick('lodash', '@scope/pkg', 'actions/checkout', 'pkg:npm/vue'), version)
    .map(parts => parts.join('@')),
  coordinate,
  fc
    .tuple(pick('421', '550'), pick('5.1.1', '4.7.0'), pick(' 421 45 1234', ' 550 12 3456', ' 451 23 4567'))
    .map(([code, enhanced, more]) => `${code} ${enhanced}${more}`),
  digits(9).map(number => `Order 00${number.replace(/^0/, '1')} shipped`),
  fc
    .tuple(
      time,
      pick('+1000', '+1030', '+1100', '+1200', '+1245', '+0530', '+10'),
      pick('2026-11-24', '24.11.2026')
    )
    .map(([time, zone, date]) => `${time} ${zone} ${date}`),
  fc
    .tuple(pick('C++', 'g++'), pick(' ', ''), pick('11 14 17 20 23', '11/14/17/20/23'))
    .map(parts => parts.join('')),
  upTo(9e8).map(seconds => `${1_400_000_000 + seconds}`),
  upTo(9e8).map(seconds => `${1_400_000_000 + seconds}000`),
  upTo(9e8).map(seconds => `${1_400_000_000 + seconds}123456789`),
  hex(40).map(digest => `a${digest}`),
  hex(30).map(
    digest =>
      `${digest.slice(0, 8)}-${digest.slice(8, 12)}-4${digest.slice(13, 16)}-8bc${digest.slice(19, 20)}-a${digest.slice(19)}`
  ),
  fc.tuple(upTo(255), upTo(255), upTo(255), upTo(255)).map(parts => parts.join('.')),
  fc.tuple(upTo(99), digits(14)).map(([patch, date]) => `1.0.${patch}+${date}`),
  fc.tuple(upTo(999999), upTo(999999)).map(([a, b]) => `${a}+${b}=${a + b}`),
  fc.tuple(upTo(999999), upTo(9999999)).map(([a, b]) => `${a} + ${b} = ${a + b}`),
  fc
    .tuple(pick('+', '-', ''), upTo(9), digits(3), digits(3), digits(2))
    .map(([sign, a, b, c, d]) => `${sign}${a} ${b} ${c}.${d} EUR`),
  pick(
    'git@github.com:org/repository.git',
    '@ada_lovelace',
    'ada@localhost',
    'root@db-1',
    'https://medium.example/@ada.lovelace',
    '00-16-17-12-34-56',
    '2026-11-24T10:33:00+10:00',
    '01J8ZK6T9QW3E5R7Y1U2I3O4P5'
  )
)

t.test('what only looks personal stays', async t => {
  const edge = pick(
    ['', ''],
    ['at ', ', so'],
    ['"', '"'],
    ['(', ')'],
    ['x=', '&y=1'],
    ['a%20', '%20b'],
    ['\\n', '\\n']
  )
  check(fc.tuple(edge, harmless), ([[before = '', after = ''], text]) => {
    // Chance makes a card number of one number in a few hundred.
    const whole = before + text + after
    if (mask(whole) !== whole && !mask(whole).includes('[CARD]')) throw new Error(`${whole}\n${mask(whole)}`)
  })
  t.pass()
})

/** Pieces that meet one another at every edge a pattern has. */
const pieces =
  '4|41|4111|1111|123|45|6789|0049|00|151|12345678|4111111111111111|378282246310005|123-45-6789|a|f|z|ada|é|电|_|.|..| |  |\t|-|/|//|(|)|:|://|https://|\\|\\\\|\\n|\\"|"|\\u0040|\\x2b|+|++|+1 |%2B|%252B|%|%4|%20|%2|40|@|%40|＠|＋|&|&#64;|&amp;|#64;|&nbsp;|;|=|=40|=2B|=3D|=20|=\n|=C2=A0|%C2|%A0|[EMAIL]|[PHONE]|[CARD]|[SSN]|[REDACTED]|example.com|.png|2x|git|1.2.3|37.7749295|,|{|}|?|&to=|\n|\u200b|٣|𝟗|\ud835|\udfd7|。|+1000 2026|3f9cA7d1e0b24a5f9d3f9cA7d1e0|/reset/|/verify-email/|/magic/|/a/unsubscribe/|839201|https://x.example|https://x.example/|8e03978e-40d5-43e8-bc93-6894a57f9324|EUR'
const soup = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.array(pick(...pieces.split('|'), '|'), { maxLength: 14 }).map(parts => parts.join(''))
  },
  {
    weight: 4,
    arbitrary: fc.array(planted, { maxLength: 3 }).map(list => list.map(({ text }) => text).join(''))
  },
  { weight: 1, arbitrary: anyText() }
)

t.test('any text: a second pass changes nothing', async t => {
  check(soup, text => {
    const once = mask(text)
    if (mask(once) !== once) {
      throw new Error(`${JSON.stringify(text)}\n${JSON.stringify(once)}\n${JSON.stringify(mask(once))}`)
    }
  })
  t.pass()
})

t.test('the cheap test lets nothing through that the masks would change', async t => {
  check(soup, text => {
    if (!mayBePersonal(text) && maskText(text, kinds) !== text) throw new Error(JSON.stringify(text))
  })
  t.pass()
})

t.test('an e-mail address or a number with a plus, alone, is an address in any encoding', async t => {
  check(planted, ({ before, after, text, isEmail }) => {
    const isAlone = before === '' && after === ''
    if (isAlone && isEmail && !isAddress(text)) throw new Error(JSON.stringify(text))
  })
  t.pass()
})
