import { isCard } from './card.ts'

const cardDigits = /^-?(\d{14,19})(?:\.0+)?$/

/** The digits of a JSON number, as they were sent, are a card number. */
export function isCardNumber(digits: string): boolean {
  if (digits.length < 14) return false
  const card = cardDigits.exec(digits)?.[1]
  return card !== undefined && isCard(card)
}
