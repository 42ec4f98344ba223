/**
 * Issuers' number ranges (first digits, from–to) and lengths, as published in ISO/IEC 7812 lists and the
 * issuers' own pages (2026-11). UATP (15 digits from 1) is left out: timestamps look like it.
 */
const issuers: readonly (readonly [issuer: string, from: string, to: string, lengths: readonly number[]])[] =
  [
    ['Visa', '4', '4', [16, 19]],
    ['Mastercard', '51', '55', [16]],
    ['Mastercard', '2221', '2720', [16]],
    ['American Express', '34', '34', [15]],
    ['American Express', '37', '37', [15]],
    ['Diners Club', '300', '305', [14, 15, 16, 17, 18, 19]],
    ['Diners Club', '3095', '3095', [14, 15, 16, 17, 18, 19]],
    ['Diners Club', '36', '36', [14, 15, 16, 17, 18, 19]],
    ['Diners Club', '38', '39', [14, 15, 16, 17, 18, 19]],
    ['Discover', '6011', '6011', [16, 17, 18, 19]],
    ['Discover', '644', '659', [16, 17, 18, 19]],
    ['JCB', '3528', '3589', [16, 17, 18, 19]],
    ['UnionPay', '62', '62', [16, 17, 18, 19]],
    ['UnionPay', '81', '81', [16, 17, 18, 19]],
    ['Maestro', '5018', '5020', [14, 15, 16, 17, 18, 19]],
    ['Maestro', '5038', '5038', [14, 15, 16, 17, 18, 19]],
    ['Maestro', '5893', '5893', [14, 15, 16, 17, 18, 19]],
    ['Maestro', '6304', '6304', [14, 15, 16, 17, 18, 19]],
    ['Maestro', '6759', '6759', [14, 15, 16, 17, 18, 19]],
    ['Maestro', '6761', '6763', [14, 15, 16, 17, 18, 19]],
    ['Mir', '2200', '2205', [16, 17, 18, 19]],
    ['RuPay', '60', '60', [16]],
    ['RuPay', '82', '82', [16]],
    ['RuPay', '508', '508', [16]],
    ['Verve', '506099', '506198', [16, 18, 19]],
    ['Elo', '506699', '506778', [16]],
    ['Elo', '509', '509', [16]],
    ['InterPayment', '636', '636', [16, 17, 18, 19]],
    ['Troy', '9792', '9792', [16]],
    ['Uzcard', '8600', '8600', [16]],
    ['Humo', '9860', '9860', [16]]
  ]

type Range = { readonly from: number; readonly to: number; readonly lengths: readonly number[] }

/** Ranges by the first two digits of a number. */
const rangesByStart: readonly (readonly Range[])[] = Array.from({ length: 100 }, (_, start) =>
  issuers
    .map(([, from, to, lengths]) => ({
      from: Number(from.padEnd(6, '0')),
      to: Number(to.padEnd(6, '9')),
      lengths
    }))
    .filter(({ from, to }) => Math.floor(from / 1e4) <= start && start <= Math.floor(to / 1e4))
)

export const MIN_CARD_DIGITS = 14
export const MAX_CARD_DIGITS = 19
/** How many of the first digits identify the issuer. */
export const ISSUER_DIGITS = 6

const NO_LENGTHS: readonly number[] = []

/** Lengths of the numbers that start with these six digits; none if no known issuer has them. */
export function issuedLengths(firstSixDigits: number): readonly number[] {
  for (const range of rangesByStart[Math.floor(firstSixDigits / 1e4)] ?? []) {
    if (firstSixDigits >= range.from && firstSixDigits <= range.to) return range.lengths
  }
  return NO_LENGTHS
}

/** ISO/IEC 7812-1 check digit. `digits`: decimal digits only. */
function passesLuhn(digits: string): boolean {
  let sum = 0
  for (let i = digits.length - 1, double = false; i >= 0; i--, double = !double) {
    const digit = digits.charCodeAt(i) - 48
    sum += double ? doubled(digit) : digit
  }
  return sum % 10 === 0
}

/** The sum of the digits of twice the digit, for the check digit. */
export const doubled = (digit: number): number => (digit > 4 ? digit * 2 - 9 : digit * 2)

/** A known issuer's range and length, and the check digit. `digits`: decimal digits only, all of them. */
export function isCard(digits: string): boolean {
  return (
    digits.length <= MAX_CARD_DIGITS &&
    issuedLengths(Number(digits.slice(0, ISSUER_DIGITS))).includes(digits.length) &&
    passesLuhn(digits)
  )
}

const jsonNumber = /^-?(\d+)(?:\.(\d+))?(?:e([+-]?\d{1,3}))?$/i
/** Far more than a card number has, with zeros before it. */
const MAX_INTEGER_DIGITS = 64

/** A JSON number, as it was sent, is a card number: `4111111111111111`, also with `.0` or as `4.111111111111111e15`. */
export function isCardNumber(spelling: string): boolean {
  if (spelling.length < MIN_CARD_DIGITS) return false
  const [, integer = '', fraction = '', exponent = '0'] = jsonNumber.exec(spelling) ?? []
  const digits = integer + fraction
  const length = integer.length + Number(exponent)
  if (length < MIN_CARD_DIGITS || length > MAX_INTEGER_DIGITS) return false
  if (!/^0*$/.test(digits.slice(length))) return false
  const card = digits.slice(0, length).padEnd(length, '0').replace(/^0+/, '')
  return card.length >= MIN_CARD_DIGITS && isCard(card)
}
