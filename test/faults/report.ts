import { type Check, checksOf, type Scenario, type Setting } from './scenario.ts'

/** The result of one scenario, as written to JSON. */
export interface Report {
  readonly name: string
  readonly about: string
  readonly seconds: number
  readonly acknowledged: number
  readonly deliveries: number
  readonly retried: number
  readonly duplicates: number
  readonly replays: number
  readonly answers: Readonly<Record<string, number>>
  readonly slowestAnswerMs: number
  readonly longestOutageMs: number
  readonly faults: Readonly<Record<string, number>>
  readonly verdict: Readonly<Record<string, unknown>>
  readonly measured: Readonly<Record<string, number | string>>
  readonly checks: readonly Check[]
}

export const say = (text: string): void => console.log(`# ${text}`)

export async function reportOf(scenario: Scenario, setting: Setting): Promise<Report> {
  const { name, about } = scenario
  try {
    const outcome = await scenario.run(setting)
    const { ledger, verdict, faults, seconds } = outcome.observed
    return {
      name,
      about,
      seconds,
      acknowledged: verdict.obligations,
      deliveries: ledger.deliveries,
      retried: ledger.retried,
      duplicates: ledger.duplicates,
      replays: ledger.replays,
      answers: Object.fromEntries(ledger.answers),
      slowestAnswerMs: Math.round(ledger.slowestAnswerMs),
      longestOutageMs: Math.round(ledger.longestOutageMs),
      faults: Object.fromEntries(faults),
      verdict: { ...verdict },
      measured: outcome.measured ?? {},
      checks: checksOf(outcome)
    }
  } catch (error) {
    const detail = error instanceof Error ? error.stack : String(error)
    const nothing = { acknowledged: 0, deliveries: 0, retried: 0, duplicates: 0, replays: 0, seconds: 0 }
    return {
      name,
      about,
      ...nothing,
      answers: {},
      slowestAnswerMs: 0,
      longestOutageMs: 0,
      faults: {},
      verdict: {},
      measured: {},
      checks: [{ name: 'the scenario ran', passed: false, detail }]
    }
  }
}

let numbered = 0

export function tapLines({ name, checks, measured }: Pick<Report, 'name' | 'checks' | 'measured'>): string[] {
  const figures = Object.entries(measured).map(([figure, value]) => `# ${name}: ${figure} ${value}`)
  return [
    ...checks.flatMap(check => {
      const line = `${check.passed ? 'ok' : 'not ok'} ${++numbered} - ${name}: ${check.name}`
      if (check.passed) return [line]
      return [
        line,
        ...JSON.stringify(check.detail, undefined, 2)
          .split('\n')
          .map(detail => `  # ${detail}`)
      ]
    }),
    ...figures
  ]
}

/** Ends like the output of tap, which .ci/run parses. */
export function summary(reports: readonly Pick<Report, 'checks'>[]): {
  readonly failed: number
  readonly line: string
} {
  const checks = reports.flatMap(report => report.checks)
  const failed = checks.filter(({ passed }) => !passed).length
  return {
    failed,
    line: `1..${checks.length}\n# { total: ${checks.length}, pass: ${checks.length - failed}, fail: ${failed} }`
  }
}

/** A Markdown table with one row per scenario. */
export function table(reports: readonly Report[]): string[] {
  const rows = reports.map(report => [
    report.name,
    Object.values(report.faults).reduce((sum, number) => sum + number, 0),
    report.acknowledged,
    report.retried,
    report.duplicates,
    report.verdict['lost'] ?? '?',
    report.verdict['duplicated'] ?? '?',
    `${report.slowestAnswerMs} ms`,
    `${report.longestOutageMs} ms`,
    `${report.seconds} s`
  ])
  const head = [
    'scenario',
    'faults',
    '2xx',
    'retried',
    'of these duplicates',
    'lost',
    'in the log twice',
    'slowest response',
    'longest time without 2xx',
    'duration'
  ]
  return [head, head.map(() => '---'), ...rows].map(row => `| ${row.join(' | ')} |`)
}
