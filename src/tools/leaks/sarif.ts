import type { Finding } from './finding.ts'
import { rules } from './rules.ts'

const ruleIds = Object.keys(rules)

/** A site id is not secret by itself. */
function levelOf({ rule, certainty }: Finding): 'error' | 'warning' | 'note' {
  if (rule === 'customerio-site-id') return 'note'
  return certainty === 'possible' ? 'warning' : 'error'
}

/**
 * Findings as SARIF 2.1.0 (OASIS, 2020), for code scanning pages.
 *
 * @param version of this program
 * @param problems what could not be searched: with any, the run counts as failed
 */
export function toSarif(
  fresh: readonly Finding[],
  accepted: readonly Finding[],
  version: string,
  problems: readonly string[]
): object {
  const driver = {
    name: 'cio-webhook leaks',
    semanticVersion: version,
    rules: Object.entries(rules).map(([id, { name, description, help, severity }]) => ({
      id,
      name: name.replaceAll(/[^A-Za-z]/g, ''),
      shortDescription: { text: name },
      fullDescription: { text: description },
      help: { text: help },
      properties: { tags: ['security'], 'security-severity': severity }
    }))
  }
  const invocation = {
    executionSuccessful: problems.length === 0,
    toolExecutionNotifications: problems.map(text => ({ level: 'error', message: { text } }))
  }
  const suppressions = [{ kind: 'external', status: 'accepted' }]
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: { driver },
        columnKind: 'utf16CodeUnits',
        invocations: [invocation],
        results: [
          ...fresh.map(toResult),
          ...accepted.map(finding => ({ ...toResult(finding), suppressions }))
        ]
      }
    ]
  }
}

function toResult(finding: Finding) {
  const { rule, secret, encoding, masked, fingerprint, place, file, line, commit, certainty } = finding
  const what = secret ?? rules[rule].name
  const form = encoding === 'plain' ? '' : ` as ${encoding}`
  const since = commit === undefined ? '' : `, since commit ${commit.oid}`
  return {
    ruleId: rule,
    ruleIndex: ruleIds.indexOf(rule),
    level: levelOf(finding),
    message: { text: `${what}: ${masked}${form} in ${place} ${file}${since}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: file.split(/[\\/]/).map(encodeURIComponent).join('/') },
          region: { startLine: Math.max(1, line) }
        }
      }
    ],
    partialFingerprints: { 'leak/v1': fingerprint },
    properties: {
      ...{ certainty, place, encoding, masked },
      ...(commit === undefined ? {} : { commit: commit.oid, date: commit.date })
    }
  }
}
