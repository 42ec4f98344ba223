import type { Examination } from './run-checks.ts'

/**
 * What an examination comes to.
 *
 * - `well`: it could be judged, and nothing is wrong
 * - `wrong`: something is
 * - `unjudged`: nothing wrong was seen, but what matters most could not be looked at
 */
export type Verdict = 'well' | 'wrong' | 'unjudged'

/**
 * Whether authentic deliveries are accepted and forged ones refused for their signature is what a receiver is
 * for. Where neither could be told, since the doctor's address is refused before anything else, nothing wrong is
 * no good news.
 */
export function verdictOf({ results, rootCause }: Examination): Verdict {
  if (results.some(({ status }) => status === 'wrong')) return 'wrong'
  if (rootCause?.stops === true) return 'unjudged'
  const authentic = results.find(({ check }) => check.id === 'authentic')
  const signatures = results.filter(({ check }) => check.area === 'signature')
  const isBlind = signatures.length > 0 && signatures.every(({ status }) => status === 'unjudged')
  return authentic?.status === 'unjudged' || isBlind ? 'unjudged' : 'well'
}
