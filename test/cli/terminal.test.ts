import fc from 'fast-check'
import t from 'tap'
import { paint, terminalSafe, wrap } from '../../src/cli/terminal.ts'
import { anyText } from '../helpers/any-text.ts'

/** Control characters, line separators, lone surrogates, and the characters that change the direction of text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]|\p{Cs}/u

/** Random text with many of these among it. */
const text = fc.oneof(
  anyText(),
  fc.string({
    unit: fc.constantFrom(
      ...[
        'a',
        ' ',
        'é',
        '漢',
        '\u{1f600}',
        '\\',
        '\n',
        '\r',
        '\t',
        '\u001b[2J',
        '\u007f',
        '\u009b',
        '\ud800'
      ],
      ...['\u061c', '\u200e', '\u200f', '\u2028', '\u202a', '\u202e', '\u2066', '\u2069', '\u{e0041}']
    )
  })
)

t.test('whatever a text contains, its safe form has no character that acts on a terminal', async () => {
  fc.assert(fc.property(text, value => !UNSAFE.test(terminalSafe(value))))
})

t.test('a safe text stays as it is', async () => {
  fc.assert(
    fc.property(text, value => {
      const safe = terminalSafe(value)
      return terminalSafe(safe) === safe && (UNSAFE.test(value) || /\p{Cf}/u.test(value) || safe === value)
    })
  )
})

t.test('an unsafe character is shown as an escape', async t => {
  const rows = [
    ['a\nb', 'a\\nb'],
    ['\u001b[31m', '\\u001b[31m'],
    ['\u202eexe.gpj', '\\u202eexe.gpj'],
    ['\u061c\u200e\u2066', '\\u061c\\u200e\\u2066'],
    ['\ud800', '\\ud800'],
    ['\u{e0041}', '\\u{e0041}'],
    ['Zoë 漢字 \u{1f600}', 'Zoë 漢字 \u{1f600}']
  ] as const
  for (const [value, expected] of rows) t.equal(terminalSafe(value), expected)
})

t.test(
  'wrapped lines are safe, contain every word, and are at most as wide as asked, or one word',
  async t => {
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 40 }), (value, width) => {
        const lines = wrap(value, width)
        return (
          lines.every(line => !UNSAFE.test(line) && (line.length <= width || !line.includes(' '))) &&
          lines.join(' ').trim() === terminalSafe(value).replace(/ +/g, ' ').trim()
        )
      })
    )
    t.same(wrap('one two three', 7), ['one two', 'three'])
  }
)

t.test('without colour, text is not styled', async t => {
  t.equal(paint({ colour: false, width: 80 }, 'red', 'FAIL'), 'FAIL')
})
