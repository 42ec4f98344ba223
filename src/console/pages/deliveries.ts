// Tested by test/console/pages/overview-chart.test.ts.
import { deliveryOutcomes, type Outcome } from '../../ops/outcomes.ts'

export type OutcomeCounts = Readonly<Partial<Record<Outcome, number>>>

/** The outcomes as charts and tables show them: five that matter to an operator. In the order of a stack. */
export const outcomeGroups = [
  { name: 'accepted', label: 'Accepted', outcomes: ['accepted'] },
  { name: 'duplicate', label: 'Duplicate', outcomes: ['duplicate'] },
  { name: 'parked', label: 'Parked', outcomes: ['parked'] },
  {
    name: 'refused',
    label: 'Refused',
    outcomes: ['signature_invalid', 'source_forbidden', 'rate_limited', 'too_large', 'aborted']
  },
  { name: 'unavailable', label: '503', outcomes: ['unavailable'] }
] as const satisfies readonly {
  readonly name: string
  readonly label: string
  readonly outcomes: readonly Outcome[]
}[]

export type OutcomeGroup = (typeof outcomeGroups)[number]

export const groupCount = ({ outcomes }: OutcomeGroup, counts: OutcomeCounts): number =>
  outcomes.reduce((sum: number, outcome) => sum + (counts[outcome] ?? 0), 0)

/** Deliveries that were answered with 200. */
export const authenticOf = ({ accepted = 0, duplicate = 0, parked = 0 }: OutcomeCounts): number =>
  accepted + duplicate + parked

/** The outcomes with their status code, as the sender sees them. */
const STATUS: Readonly<Record<Outcome, string>> = {
  accepted: '200',
  duplicate: '200',
  parked: '200',
  signature_invalid: '401',
  source_forbidden: '403',
  rate_limited: '429',
  too_large: '413',
  unavailable: '503',
  aborted: 'no answer'
}

/** Each outcome that occurred, with its label and count. */
export const outcomesOf = (counts: OutcomeCounts) =>
  deliveryOutcomes.flatMap(outcome => {
    const count = counts[outcome] ?? 0
    return count === 0 ? [] : [{ outcome, label: labelOf(outcome), answer: STATUS[outcome], count }]
  })

export const labelOf = (name: string): string => name.replaceAll('_', ' ')
