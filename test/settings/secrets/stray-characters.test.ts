import fc from 'fast-check'
import t from 'tap'
import { strayCharacters } from '../../../src/settings/secrets/stray-characters.ts'

t.test('a key with something around it is refused, and the reason says what', async t => {
  const rows: readonly (readonly [string, string, RegExp])[] = [
    ['a letter of an escape', 'topsecret\\n', /backslash and a letter/],
    ['both of them', 'topsecret\\r\\n', /backslash and a letter/],
    ['quotation marks', '"topsecret"', /begins with a quotation mark/],
    ['single ones', "'topsecret'", /begins with a quotation mark/],
    ['backticks', '`topsecret`', /begins with a quotation mark/],
    ['typographic ones', '“topsecret”', /begins with a quotation mark/],
    ['one at the end', 'topsecret"', /ends with a quotation mark/],
    ['escaped ones', '\\"topsecret\\"', /ends with a quotation mark/],
    ['a byte order mark', '\ufefftopsecret', /byte order mark/],
    ['UTF-16, little-endian', Buffer.from('topsecret', 'utf16le').toString('utf8'), /UTF-16/],
    ['the same with a mark', Buffer.from('\ufefftopsecret', 'utf16le').toString('utf8'), /UTF-16/],
    ['UTF-16, big-endian', Buffer.from('\ufefftopsecret', 'utf16le').swap16().toString('utf8'), /UTF-16/],
    ['Latin-1', Buffer.from('schlüssel', 'latin1').toString('utf8'), /not valid UTF-8/],
    ['a blank in front', ' topsecret', /begins with white space/],
    ['a tab behind', 'topsecret\t', /ends with white space/],
    ['a line break behind', 'topsecret\n', /ends with a line break/],
    ['Windows’ line break', 'topsecret\r', /ends with a line break/],
    ['a line break in front', '\ntopsecret', /begins with a line break/],
    ['two lines', 'topsecret\nother', /contains a line break/],
    ['a zero-width space', 'top\u200bsecret', /invisible/],
    ['a soft hyphen', 'top\u00adsecret', /invisible/],
    ['a direction mark', 'topsecret\u200e', /invisible/],
    ['a non-breaking space', 'top\u00a0secret', /white space other than/],
    ['a non-breaking space behind', 'topsecret\u00a0', /ends with white space/],
    ['a line separator', 'topsecret\u2028', /ends with a line break/],
    ['a bell', 'top\u0007secret', /control character/],
    ['a delete character', 'topsecret\u007f', /control character/]
  ]
  for (const [name, key, expected] of rows) {
    t.match(strayCharacters(key), expected, name)
    t.notMatch(strayCharacters(key), /topsecret/, `${name}: not repeated`)
  }
})

t.test('a key alone is clean, whatever letters it has', async t => {
  const keys = [
    'topsecret',
    '755781b5e03a973f3405a85474d5a032a60fd56fabaad66039b12eadd83955fa',
    'two words',
    'it’s "quoted" inside',
    'back\\slash\\nothing',
    'schlüssel🔑',
    'n',
    '\\'
  ]
  for (const key of keys) t.equal(strayCharacters(key), undefined, key)
})

const clean = fc.stringMatching(/^[A-Za-z0-9]{1,20}$/)
const stray = fc.constantFrom(
  ...[
    ' ',
    '\t',
    '\n',
    '\r',
    '\v',
    '\f',
    '\u00a0',
    '\u2003',
    '\u3000',
    '\u2028',
    '\u200b',
    '\u200d',
    '\u2060'
  ],
  ...['\ufeff', '"', "'", '`', '“', '”', '«', '»', '\0', '\u001b', '\u0085', '\ufffd']
)
t.test('one stray character at either end is enough', async () => {
  fc.assert(
    fc.property(
      clean,
      stray,
      (key, extra) => strayCharacters(extra + key) !== undefined && strayCharacters(key + extra) !== undefined
    )
  )
})
