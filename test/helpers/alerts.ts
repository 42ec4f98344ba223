import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { temporaryFolder } from './server.ts'

export const RULES_FILE = 'deploy/prometheus/cio-webhook.rules.yaml'

export interface Rule {
  /** Of a recording rule. */
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

const readGroups = (): readonly { readonly name: string; readonly rules: readonly Rule[] }[] =>
  parse(readFileSync(RULES_FILE, 'utf8')).groups

/** The recording and alert rules that the repository delivers. */
export const deliveredRules = (): readonly Rule[] => readGroups().flatMap(({ rules }) => rules)

export const deliveredAlerts = (): readonly string[] =>
  deliveredRules().flatMap(({ alert }) => (alert === undefined ? [] : [alert]))

/** A metric and its values in promtool's notation: `0x2 7x400`. */
export type Series = readonly [metric: string, values: string]

interface Times {
  /** When to look. */
  readonly minutes: readonly number[]
  /** Between two values of a series. */
  readonly intervalSeconds?: number
  readonly evaluationSeconds?: number
}

/**
 * Evaluates the delivered rules with promtool. The series of a case get its name as `job`: rules must not mix
 * installations, and one run for all cases takes a fraction of the time.
 *
 * @param cases named sets of series
 * @returns for each case, the alerts that fire at any of the times
 */
export function firingAlerts(
  cases: Readonly<Record<string, readonly Series[]>>,
  { minutes, intervalSeconds = 30, evaluationSeconds = 60 }: Times
): Readonly<Record<string, readonly string[]>> {
  const alerts = deliveredAlerts()
  const file = {
    rule_files: ['rules.yaml'],
    evaluation_interval: `${evaluationSeconds}s`,
    // Otherwise the order is random, and an alert may be evaluated before the rules that it reads.
    group_eval_order: readGroups().map(({ name }) => name),
    tests: [
      {
        interval: `${intervalSeconds}s`,
        input_series: Object.entries(cases).flatMap(([name, series]) =>
          series.map(([metric, values]) => ({ series: withJob(metric, name), values }))
        ),
        // Each alert that fires is reported.
        alert_rule_test: alerts.flatMap(alertname =>
          minutes.map(time => ({ eval_time: `${time}m`, alertname, exp_alerts: [] }))
        )
      }
    ]
  }
  const folder = temporaryFolder()
  try {
    writeFileSync(join(folder, 'rules.yaml'), readFileSync(RULES_FILE))
    // JSON is YAML.
    writeFileSync(join(folder, 'test.yaml'), JSON.stringify(file))
    const { error, status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', 'test.yaml'], {
      cwd: folder,
      encoding: 'utf8',
      // Go collects garbage less often, which saves a fifth of the CPU time.
      env: { ...process.env, GOGC: '400' },
      maxBuffer: 64 * 1024 * 1024
    })
    if (error !== undefined) throw error
    const report = stdout + stderr
    if (status !== 0 && !report.includes('exp:[], ')) throw new Error(`promtool: ${report}`)
    const fired = [...report.matchAll(/Labels:\{alertname="(\w+)".*? job="([^"]*)"/g)]
    return Object.fromEntries(
      Object.keys(cases).map(name => [
        name,
        alerts.filter(alert => fired.some(([, firing, job]) => firing === alert && job === name))
      ])
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const withJob = (metric: string, job: string): string =>
  metric.endsWith('}') ? `${metric.slice(0, -1)},job="${job}"}` : `${metric}{job="${job}"}`

/** The samples of a scrape: metric with labels → value. */
export function samplesOf(scrape: string): ReadonlyMap<string, string> {
  const lines = scrape.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map(line => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)])
  )
}
