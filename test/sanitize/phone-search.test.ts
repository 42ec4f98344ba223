import t from 'tap'
import { decode } from '../../src/sanitize/decoded-text.ts'
import { PhoneSearch } from '../../src/sanitize/phone-search.ts'
import { readPieces } from '../../src/sanitize/word-search.ts'

const found = (numbers: readonly string[], text: string): string[] => {
  const search = new PhoneSearch()
  for (const number of numbers) search.add(number)
  const reading = decode(text, 'web')
  const matches = search.find(readPieces(reading))
  // The quick look must not miss what the search would find.
  if (matches.length > 0) t.ok(search.mayFindIn(reading.text), text)
  return matches.map(({ start, end }) => text.slice(start, end))
}

const international = ['14155550123', '442079460958', '33612345678']

for (const text of [
  '14155550123',
  '+14155550123',
  '+1 (415) 555-0123',
  '0014155550123',
  '(415) 555-0123',
  '415.555.0123',
  '4155550123',
  '5550123',
  '020 7946 0958',
  '+33 6 12 34 56 78',
  '06 12 34 56 78'
]) {
  t.test(`finds ${text}, whatever stands around it`, async t => {
    for (const [before, after] of [
      ['', ''],
      ['to ', '.'],
      ['421 45 ', ' 21211'],
      ['=', '&'],
      ['%20', '\\n']
    ]) {
      const [match] = found(international, `${before}${text}${after}`)
      t.ok(match?.endsWith(text), `${before}${text}${after}: ${match}`)
    }
  })
}

t.test('finds numbers that follow one another', async t => {
  t.strictSame(found(international, '14155550123,442079460958 33612345678'), [
    '14155550123',
    '442079460958',
    '33612345678'
  ])
})

t.test('leaves other numbers, parts of longer ones, and decimals', async t => {
  for (const text of [
    '141555501234',
    'x4155550123',
    '4155550123x',
    '0.4155550123',
    '555012',
    '14155550124',
    '1.5'
  ]) {
    t.strictSame(found(international, text), [], text)
  }
})
