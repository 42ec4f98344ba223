// Tested by test/cli/reconcile/command.slow.test.ts.
import { integer } from '../../settings/parse.ts'
import { DEFAULT_SOURCE } from '../../settings/sources.ts'
import { parseCommandLine, readOption, UsageError } from '../command.ts'
import { parseTime } from '../parse-time.ts'

const DEFAULT_RATE = '200'

export const reconcileUsage = `usage: cio-webhook reconcile [--fill] [--from TIME] [--to TIME] [--json]
       cio-webhook reconcile --resume [--json]

Compares the messages that Customer.io lists with the events that were appended to the log, and reports which are
missing: by object type, metric, campaign and hour. Needs CIO_APP_API_KEY, here and for every replica of the service.
Configured by the environment, like serve. Asks Customer.io twice per second, for 1000 messages each. What it cannot
compare is in its report, and in docs/completeness.md.

  --fill          append the missing events, oldest first, marked "backfilled": true. A second run appends nothing
  --rate EVENTS   append at most so many events per second (default ${DEFAULT_RATE}). It waits while consumers are far behind
  --from TIME     messages that were created since then (default RECONCILE_DAYS ago)
  --to TIME       and until then (default now). TIME: 2026-11-24T10:00:00Z, or how long ago: 90s, 30m, 12h, 7d
  --source NAME   source of the reporting webhook (default ${DEFAULT_SOURCE})
  --resume        continue the comparison that was interrupted last, within 24 hours
  --json          print the report as one JSON object

Exit code: 0 nothing is missing, or all of it was appended; 1 events are missing; 2 could not run.`

export interface ReconcileArguments {
  readonly fill: boolean
  readonly resume: boolean
  readonly json: boolean
  readonly eventsPerSecond: number
  readonly source: string
  /** Unix milliseconds; `undefined`: as far back as the index goes. */
  readonly fromMs: number | undefined
  readonly toMs: number
}

const DAY_MS = 24 * 60 * 60 * 1000
/** Customer.io lists the messages of six months. */
const MAX_DAYS = 183

/** @throws UsageError */
export function readReconcileOptions(args: readonly string[], nowMs: number): ReconcileArguments {
  const { values } = parseCommandLine({
    args: [...args],
    options: {
      fill: { type: 'boolean', default: false },
      resume: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      rate: { type: 'string', default: DEFAULT_RATE },
      source: { type: 'string' },
      from: { type: 'string' },
      to: { type: 'string' }
    }
  })
  const { fill, resume, json, rate, source, from, to } = values
  if (resume && (fill || source !== undefined || from !== undefined || to !== undefined)) {
    throw new UsageError(
      '--resume continues with the options of the interrupted comparison: give --rate and --json only'
    )
  }
  const fromMs = from === undefined ? undefined : parseTime('--from', from, nowMs)
  const toMs = to === undefined ? nowMs : parseTime('--to', to, nowMs)
  if (fromMs !== undefined && fromMs >= toMs) throw new UsageError('--from must be before --to')
  if (fromMs !== undefined && fromMs < nowMs - MAX_DAYS * DAY_MS) {
    throw new UsageError('--from: Customer.io lists the messages of the last six months only')
  }
  const eventsPerSecond = readOption('--rate', integer(1, 100_000, 'events per second'), rate)
  return { fill, resume, json, eventsPerSecond, source: source ?? DEFAULT_SOURCE, fromMs, toMs }
}
