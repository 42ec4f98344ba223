import fc from 'fast-check'
import t from 'tap'
import { isCard } from '../../src/sanitize/card.ts'

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
