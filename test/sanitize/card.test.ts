import fc from 'fast-check'
import t from 'tap'
import { isCard, isCardNumber } from '../../src/sanitize/card.ts'

const numbers: [digits: string, is: boolean][] = [
  ['4111111111111111', true],
  ['4111111111111112', false],
  ['4222222222222', false], // 13 digits: no issuer gives them out any more
  ['4473000321468', false],
  ['4473804113525', false],
  ['4000000000000000006', true],
  ['4611686018427387904', false],
  ['371449635398431', true],
  ['30569309025904', true],
  ['5018000000000', false],
  ['1795510800000', false],
  ['1795510800000000', false],
  ['0', false],
  ['', false],
  ['19.90', false]
]

for (const [digits, is] of numbers) {
  t.test(`${digits} is ${is ? 'a' : 'not a'} card number`, async t => {
    t.equal(isCard(digits), is)
  })
}

t.test('of ten numbers that differ in their last digit, at most one is a card number', async t => {
  const start = fc.tuple(
    fc.constantFrom('4', '51', '2221', '6011', '36', '62'),
    fc.stringMatching(/^\d{12,17}$/)
  )
  fc.assert(
    fc.property(start, parts => {
      const cards = [...'0123456789'].filter(last => isCard(parts.join('') + last))
      return cards.length <= 1
    })
  )
  t.pass()
})

for (const spelling of [
  '4111111111111111',
  '-4111111111111111',
  '4111111111111111.000',
  `4111111111111111.${'0'.repeat(500)}`,
  '4.111111111111111e15',
  '4.111111111111111E+15',
  '41111111111111110e-1',
  '0.4111111111111111e16',
  '411111111111111.1e1'
]) {
  t.test(`the JSON number ${spelling.slice(0, 24)} is a card number`, async t => {
    t.ok(isCardNumber(spelling))
  })
}

for (const spelling of [
  '4111111111111112',
  '0.4111111111111111',
  '4111111111111111.5',
  '4.111111111111111e14',
  '4.111111111111111e16',
  '1e400',
  '4111111111111111e99',
  '1e15'
]) {
  t.test(`the JSON number ${spelling} is not`, async t => {
    t.notOk(isCardNumber(spelling))
  })
}
