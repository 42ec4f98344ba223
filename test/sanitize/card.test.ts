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

/** Where the ranges of each issuer begin and end. */
const issued: [issuer: string, starts: string, lengths: number[]][] = [
  ['Visa', '4 400000 499999', [16, 19]],
  ['Mastercard', '51 55 2221 2720', [16]],
  ['American Express', '34 37', [15]],
  ['Diners Club', '300 305 3095 36 38 39', [14, 15, 16, 17, 18, 19]],
  ['Discover', '6011 644 659', [16, 17, 18, 19]],
  ['JCB', '3528 3589', [16, 17, 18, 19]],
  ['UnionPay', '62 81', [16, 17, 18, 19]],
  ['Maestro', '5018 5020 5038 5893 6304 6759 6761 6763', [14, 15, 16, 17, 18, 19]],
  ['Mir', '2200 2205', [16, 17, 18, 19]],
  ['RuPay', '600 6010 6012 609 82 508', [16]],
  ['Verve', '506099 506198', [16, 18, 19]],
  ['Elo', '506699 506778 509', [16]],
  ['InterPayment', '636', [16, 17, 18, 19]],
  ['Troy', '9792', [16]],
  ['Uzcard', '8600', [16]],
  ['Humo', '9860', [16]]
]
const notIssued =
  '0 1 2199 2206 2220 2721 299 306 3094 3096 31 32 33 3527 3590 5017 5021 5037 5039 506098 506199 506698 506779 507 56 5892 5894 61 6303 6305 635 637 643 660 6758 6760 6764 7 80 83 8599 8601 9791 9793 9859 9861'

/** @returns a number of this length with a valid check digit */
function numberFrom(start: string, length: number): string {
  const digits = start.padEnd(length - 1, '7').slice(0, length - 1)
  const sum = [...digits].reverse().reduce((sum, digit, index) => {
    const value = index % 2 === 0 ? Number(digit) * 2 : Number(digit)
    return sum + (value > 9 ? value - 9 : value)
  }, 0)
  return digits + String((10 - (sum % 10)) % 10)
}

const lengthsOf = (start: string): readonly number[] =>
  [12, 13, 14, 15, 16, 17, 18, 19, 20].filter(length => isCard(numberFrom(start, length)))

t.test(
  'the first and the last numbers of each issuer are card numbers, in the lengths that it issues',
  async t => {
    for (const [issuer, starts, lengths] of issued) {
      for (const start of starts.split(' ')) t.same(lengthsOf(start), lengths, `${issuer} ${start}`)
    }
  }
)

t.test('the numbers beside the ranges of the issuers are not card numbers', async t => {
  for (const start of notIssued.split(' ')) t.same(lengthsOf(start), [], start)
})

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
