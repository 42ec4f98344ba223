import type { Random } from '../helpers/random.ts'
import { answersAre, CONTENT, DUPLICATED, EXITS, LOST } from './check-names.ts'
import type { Observed } from './run-under-load.ts'

export interface Setting {
  readonly random: Random
  /** A full run gives the figures in docs/guarantees.md; a short one only tests the scenario. */
  readonly full: boolean
  /** Path of the compiled service. */
  readonly main: string
}

/** A kind of fault that is injected under load. */
export interface Scenario {
  /** For `--only`. */
  readonly name: string
  /** One sentence for `--list`. */
  readonly about: string
  readonly run: (setting: Setting) => Promise<Outcome>
}

export interface Outcome {
  readonly observed: Observed
  readonly demands: Demands
  /** Figures of this scenario only, with units in their names. */
  readonly measured?: Readonly<Record<string, number | string>>
  /** Checks of this scenario only. */
  readonly extra?: readonly Check[]
}

/** The least that must have happened in a run, and the answers that a sender may get. */
export interface Demands {
  readonly acknowledged: number
  readonly faults: number
  /** Deliveries repeated because the first got no 2xx. */
  readonly retried: number
  /** Retries answered as duplicates. */
  readonly duplicates?: number
  /** Allowed answers besides 200 and 503. */
  readonly alsoSeen?: readonly string[]
  /** Is 503 allowed? Default: true. */
  readonly unavailable?: boolean
}

export interface Check {
  readonly name: string
  readonly passed: boolean
  /** The complete values, for diagnosis. */
  readonly detail: unknown
}

/** The checks after every run. */
export function checksOf({ observed, demands, extra = [] }: Outcome): readonly Check[] {
  const { ledger, verdict, faults, processErrors, refusalReasons, failure } = observed
  const { obligations, examples } = verdict
  const { alsoSeen = [], unavailable = true } = demands
  const allowed = ['200', ...(unavailable ? ['503'] : []), ...alsoSeen]
  const answers = Object.fromEntries(ledger.answers)
  const happened = [...faults.values()].reduce((sum, number) => sum + number, 0)
  const none = (name: string, kind: keyof typeof verdict): Check => ({
    name,
    passed: verdict[kind] === 0,
    detail: { [kind]: verdict[kind], obligations, examples: examples[kind] ?? [] }
  })
  return [
    {
      name: 'the run was completed: every event was acknowledged, new events are delivered',
      passed: failure === undefined,
      detail: failure
    },
    none(LOST, 'lostUnexcused'),
    none(DUPLICATED, 'duplicated'),
    none(CONTENT, 'wrongContent'),
    none('the log has no event that was not sent', 'neverSent'),
    none('the events of a customer are in order', 'outOfOrder'),
    none('the consumer has read every event', 'unread'),
    {
      name: answersAre(allowed),
      passed: Object.keys(answers).every(status => allowed.includes(status)),
      detail: {
        ...answers,
        slowestAnswerMs: Math.round(ledger.slowestAnswerMs),
        refusals: Object.fromEntries(ledger.refusals),
        refusalReasons
      }
    },
    {
      name: EXITS,
      passed: processErrors.length === 0,
      detail: processErrors
    },
    {
      name: 'enough events and faults happened',
      passed:
        obligations >= demands.acknowledged &&
        happened >= demands.faults &&
        ledger.retried >= demands.retried &&
        ledger.duplicates >= (demands.duplicates ?? 0),
      detail: {
        required: demands,
        happened: {
          acknowledged: obligations,
          faults: happened,
          retried: ledger.retried,
          duplicates: ledger.duplicates
        }
      }
    },
    ...extra
  ]
}
