// Tested by test/cli/leaks/command.slow.test.ts.
import type { AcceptedLeak, Triage } from '../../tools/leaks/baseline.ts'
import type { Finding } from '../../tools/leaks/finding.ts'
import { rules } from '../../tools/leaks/rules.ts'
import { terminalSafe } from '../terminal.ts'

/** The result of a run. */
export interface Report extends Triage {
  /** Descriptions of what was searched. */
  readonly searched: readonly string[]
  /** The names of the configured secrets that were searched for. */
  readonly secrets: readonly string[]
  readonly problems: readonly string[]
  readonly notes: readonly string[]
}

export function toJson({ fresh, accepted, stale, searched, secrets, problems, notes }: Report): object {
  return { searched, secrets, findings: fresh, accepted, stale, problems, notes }
}

/** The report as text. */
export function toText(report: Report): string {
  const { fresh, accepted, stale, searched, problems } = report
  const lines = fresh.flatMap(describe)
  const kinds = [...new Set(fresh.map(({ rule }) => rule))]
  if (kinds.length > 0) lines.push(...kinds.map(rule => `${rules[rule].name}: ${rules[rule].help}`), '')
  const count = fresh.length === 0 ? 'no leak' : fresh.length === 1 ? '1 leak' : `${fresh.length} leaks`
  const known = accepted.length === 0 ? '' : `, ${accepted.length} accepted by the baseline`
  const where = searched.length === 0 ? '' : ` in ${searched.map(terminalSafe).join(' and ')}`
  const isEmpty = searched.length + fresh.length + accepted.length === 0
  lines.push(isEmpty ? 'nothing scanned' : count + known + where)
  lines.push(...stale.map(describeStale))
  if (problems.length > 0) {
    lines.push('not everything could be searched:', ...problems.map(text => `  ${terminalSafe(text)}`))
  }
  return `${lines.join('\n')}\n`
}

function describe(finding: Finding): string[] {
  const { rule, certainty, secret, encoding, masked, fingerprint } = finding
  const what = secret ?? rules[rule].name
  const form = encoding === 'plain' ? '' : ` as ${encoding}`
  return [
    `${terminalSafe(finding.file)}${finding.place === 'stream' ? '' : `:${finding.line}`}`,
    `    ${what} (${certainty})  ${masked}${form}  [${fingerprint}]`,
    `    ${whereabouts(finding).join(', ')}`,
    ''
  ]
}

function whereabouts({ place, commit, inWorkingTree, entry, times }: Finding): string[] {
  const parts: string[] = place === 'file' && inWorkingTree ? ['file in the working tree'] : [place]
  if (commit !== undefined) {
    const { oid, date } = commit
    parts.push(`since commit ${oid.slice(0, 12)}${date === undefined ? '' : ` of ${date.slice(0, 10)}`}`)
    if ((place === 'file' || place === 'file name') && !inWorkingTree)
      parts.push('no longer in the working tree')
  }
  if (entry !== undefined) parts.push(`first in entry ${entry}`)
  if (times > 1) parts.push(`found ${times} times`)
  return parts
}

const describeStale = ({ file, rule, fingerprint }: AcceptedLeak): string =>
  `the baseline has an entry that matches nothing: ${terminalSafe(file)} ${rule} [${fingerprint}]`
