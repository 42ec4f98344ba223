import fc from 'fast-check'
import t from 'tap'
import { decode, plainReading } from '../../src/sanitize/decoded-text.ts'
import { readPieces, WordSearch } from '../../src/sanitize/word-search.ts'

const numRuns = Number(process.env['PROPERTY_RUNS'] ?? 300)

const found = (patterns: readonly string[], text: string): string[] => {
  const search = new WordSearch()
  for (const pattern of patterns) search.add(pattern, 'x')
  return search.find(readPieces(decode(text, 'web'))).map(({ start, end }) => text.slice(start, end))
}

const rows: readonly [name: string, patterns: string[], text: string, found: string[]][] = [
  ['a whole word in any case', ['Ada'], 'ADA, adam, xada, ada', ['ADA', 'ada']],
  ['words with what stands between them', ['a:b-c'], 'a:b-c a:b a-b-c (A:B-C)', ['a:b-c', 'A:B-C']],
  ['a pattern that begins inside another', ['a b c', 'b d'], 'a b d', ['b d']],
  [
    'a pattern that begins inside another, where there are many',
    ['p q', 'a b c', 'b d', '1', '2', '3', '4', '5', '6'],
    'a b d',
    ['b d']
  ],
  ['a pattern that ends another', ['a b c d', 'b c'], 'a b c x', ['b c']],
  ['overlapping patterns as one', ['a b', 'b c'], 'a b c', ['a b c']],
  ['the longer of two patterns', ['a', 'a b'], 'a b', ['a b']],
  [
    'escapes',
    ['a@b.c'],
    'a%40b.c a%2540b%2Ec a\\u0040b.c a&#64;b.c a&#x40;b.c',
    ['a%40b.c', 'a%2540b%2Ec', 'a\\u0040b.c', 'a&#64;b.c', 'a&#x40;b.c']
  ],
  ['a word behind an escape', ['ada'], '\\nada %20ada&nbsp;ada', ['ada', 'ada', 'ada']],
  ['words of other scripts', ['Ада'], 'АДА, Адам', ['АДА']],
  ['a text whose lower case is longer', ['ada'], 'İİ ada', ['ada']],
  ['nothing', ['ada'], '', []]
]

for (const [name, patterns, text, expected] of rows) {
  t.test(`finds ${name}`, async t => t.strictSame(found(patterns, text), expected))
}

t.test('finds what a search for each pattern alone would find', async t => {
  const text = fc
    .array(fc.constantFrom('a', 'b', 'c', ' ', '-', 'ab'), { maxLength: 30 })
    .map(parts => parts.join(''))
  const pattern = fc
    .array(fc.constantFrom('a', 'b', '-', ' ', 'ab'), { minLength: 1, maxLength: 5 })
    .map(parts => parts.join(''))
  const isWordAt = (text: string, index: number) => /^[a-z]$/.test(text.charAt(index))
  /** The characters of the text that are part of a whole-word occurrence of some pattern. */
  const covered = (patterns: readonly string[], text: string): string => {
    const cover = [...text].map(() => '.')
    for (const sought of patterns) {
      for (let at = text.indexOf(sought); at !== -1; at = text.indexOf(sought, at + 1)) {
        const end = at + sought.length
        const splitsWord = (index: number) => isWordAt(text, index - 1) && isWordAt(text, index)
        if (!splitsWord(at) && !splitsWord(end)) cover.fill('x', at, end)
      }
    }
    return cover.join('')
  }
  fc.assert(
    fc.property(fc.array(pattern, { minLength: 1, maxLength: 4 }), text, (patterns, sample) => {
      const search = new WordSearch()
      for (const sought of patterns) search.add(sought, 'x')
      const cover = [...sample].map(() => '.')
      for (const { start, end } of search.find(readPieces(plainReading(sample)))) cover.fill('x', start, end)
      const expected = covered(patterns, sample)
      if (cover.join('') !== expected) throw new Error(`${sample}\n${cover.join('')}\n${expected}`)
    }),
    { numRuns }
  )
  t.pass()
})

t.test('the quick test is true wherever something is found', async t => {
  const character = fc.constantFrom(
    'a',
    'A',
    '@',
    '.',
    '\u0130',
    '\u03a3',
    '\u03c3',
    '\uff0b',
    '+',
    '\u0410',
    '\u4e2d',
    ' ',
    '%41',
    '&#64;',
    '\\u0041'
  )
  const pattern = fc.array(character, { minLength: 1, maxLength: 5 }).map(parts => parts.join(''))
  const patterns = fc.array(pattern, { minLength: 1, maxLength: 12 })
  let found = 0
  fc.assert(
    fc.property(patterns, fc.array(fc.oneof(character, pattern), { maxLength: 20 }), (patterns, parts) => {
      const search = new WordSearch()
      for (const pattern of patterns) search.add(pattern, 'x')
      const reading = decode(parts.join(''), 'web')
      const isFound = search.find(readPieces(reading)).length > 0
      if (isFound) found++
      return !isFound || search.mayFindIn(reading.text)
    }),
    { numRuns }
  )
  t.ok(found > numRuns / 20, `${found} texts with a find`)
})
