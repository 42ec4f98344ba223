import type { Random } from './random.ts'
import type { Observed } from './run-under-load.ts'

/** What a scenario is run with. */
export interface Setting {
  readonly random: Random
  /** Short runs show that the proof works, full ones give the figures. */
  readonly full: boolean
  /** The compiled service. */
  readonly main: string
}

/** A way for things to go wrong, and what has to hold nevertheless. */
export interface Scenario {
  /** Also what `--only` takes. */
  readonly name: string
  /** One sentence for the documents. */
  readonly about: string
  readonly run: (setting: Setting) => Promise<Outcome>
}

export interface Outcome {
  readonly observed: Observed
  readonly demands: Demands
  /** Figures of this scenario alone, with their units in the names. */
  readonly measured?: Readonly<Record<string, number | string>>
  /** What has to hold in this scenario alone. */
  readonly extra?: readonly Check[]
}

/** What a run needs to mean anything, and what answers a sender may see in it. */
export interface Demands {
  readonly acknowledged: number
  readonly faults: number
  /** Deliveries made again since the first got no 2xx. */
  readonly retried: number
  /** Retries that met what was remembered. */
  readonly duplicates?: number
  /** What a sender may get besides 200 and 503. */
  readonly alsoSeen?: readonly string[]
  /** Is 503 among the answers a sender may get? */
  readonly unavailable?: boolean
}

export interface Check {
  readonly name: string
  readonly passed: boolean
  /** The whole values, for whoever has to find out. */
  readonly detail: unknown
}

/** Everything that has to hold after a run. */
export function checksOf({ observed, demands, extra = [] }: Outcome): readonly Check[] {
  const { ledger, verdict, faults, misdeeds, broke } = observed
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
      name: 'the run came to its end: every sender got through, new events flow',
      passed: broke === undefined,
      detail: broke
    },
    none('every acknowledged event is in the log, or was read before it was trimmed', 'lostUnexcused'),
    none('no event is there twice', 'doubled'),
    none('each has the right content', 'wrongContent'),
    none('nothing foreign is there', 'foreign'),
    none('the events of a customer are in order', 'outOfOrder'),
    none('the consumer has seen all of them', 'unread'),
    {
      name: `the sender saw only ${allowed.join(', ')}, and never silence`,
      passed: Object.keys(answers).every(status => allowed.includes(status)),
      detail: { ...answers, slowestAnswerMs: Math.round(ledger.slowestAnswerMs) }
    },
    {
      name: 'no process ended by itself or left an error uncaught',
      passed: misdeeds.length === 0,
      detail: misdeeds
    },
    {
      name: 'enough happened for the run to mean something',
      passed:
        obligations >= demands.acknowledged &&
        happened >= demands.faults &&
        ledger.retried >= demands.retried &&
        ledger.duplicates >= (demands.duplicates ?? 0),
      detail: {
        wanted: demands,
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
