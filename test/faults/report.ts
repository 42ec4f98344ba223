import { type Check, checksOf, type Scenario, type Setting } from './scenario.ts'

/** What one scenario came to, as it is kept in JSON. */
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
      checks: [{ name: 'the scenario could be run', passed: false, detail }]
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

/** As tap closes, so that whoever counts can count. */
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

/** One row a scenario, in Markdown. */
export function table(reports: readonly Report[]): string[] {
  const rows = reports.map(report => [
    report.name,
    Object.values(report.faults).reduce((sum, number) => sum + number, 0),
    report.acknowledged,
    report.retried,
    report.duplicates,
    report.verdict['lost'] ?? '?',
    report.verdict['doubled'] ?? '?',
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
    'doubled',
    'slowest answer',
    'longest without a 2xx',
    'took'
  ]
  return [head, head.map(() => '---'), ...rows].map(row => `| ${row.join(' | ')} |`)
}
