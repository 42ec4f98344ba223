import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { temporaryFolder } from './server.ts'

const page = new URL('../../../docs/deploy.md', import.meta.url)

/** The alert rules in docs/deploy.md. */
function documentedRules(): { readonly text: string; readonly names: readonly string[] } {
  const text = /^```yaml\n(groups:.*?)^```$/ms.exec(readFileSync(page, 'utf8'))?.[1]
  if (text === undefined) throw new Error('docs/deploy.md has no alert rules')
  const { groups } = parse(text) as { groups: { rules: { alert: string }[] }[] }
  return { text, names: groups.flatMap(({ rules }) => rules.map(({ alert }) => alert)) }
}

/** A metric and its values in promtool's notation, one per 30 s: `0x2 7x400`. */
export type Series = readonly [metric: string, values: string]

/**
 * Evaluates the documented alert rules with promtool.
 *
 * @param cases named sets of series
 * @returns for each case, the alerts that fire at any of these times
 */
export function firingAlerts(
  cases: Readonly<Record<string, readonly Series[]>>,
  timesMinutes: readonly number[]
): Readonly<Record<string, readonly string[]>> {
  const { text, names } = documentedRules()
  const expectedSilence = names.flatMap(alertname =>
    timesMinutes.map(minutes => ({ eval_time: `${minutes}m`, alertname, exp_alerts: [] }))
  )
  const file = {
    rule_files: ['rules.yaml'],
    evaluation_interval: '1m',
    tests: Object.entries(cases).map(([name, series]) => ({
      name,
      interval: '30s',
      input_series: series.map(([metric, values]) => ({ series: metric, values })),
      alert_rule_test: expectedSilence
    }))
  }
  const folder = temporaryFolder()
  try {
    writeFileSync(join(folder, 'rules.yaml'), text)
    // JSON is YAML.
    writeFileSync(join(folder, 'test.yaml'), JSON.stringify(file))
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', 'test.yaml'], {
      cwd: folder,
      encoding: 'utf8'
    })
    const report = stdout + stderr
    if (status !== 0 && !report.includes('exp:[], ')) throw new Error(`promtool: ${report}`)
    return Object.fromEntries(
      Object.keys(cases).map(name => [name, names.filter(alert => isReported(report, name, alert))])
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const isReported = (report: string, name: string, alert: string): boolean =>
  report
    .split(/^ {4}name: /m)
    .some(part => part.startsWith(`${name},\n`) && part.includes(`alertname: ${alert}, time:`))

/** The samples of a scrape: metric with labels → value. */
export function samplesOf(scrape: string): ReadonlyMap<string, string> {
  const lines = scrape.split('\n').filter(line => line !== '' && !line.startsWith('#'))
  return new Map(
    lines.map(line => [line.slice(0, line.lastIndexOf(' ')), line.slice(line.lastIndexOf(' ') + 1)])
  )
}
