import type { Finding } from './finding.ts'
import { type Rule, type RuleId, rules } from './rules.ts'

/** SARIF's word for how bad it is. A site id is no secret by itself. */
function levelOf({ rule, certainty }: Finding): 'error' | 'warning' | 'note' {
  if (rule === 'customerio-site-id') return 'note'
  return certainty === 'possible' ? 'warning' : 'error'
}

/** GitHub sorts security results by this number: 9 and more is critical, 7 and more high. */
const severity: Readonly<Record<RuleId, string>> = {
  'configured-value': '9.5',
  'customerio-app-api-key': '9.0',
  'customerio-basic-auth': '9.0',
  'customerio-signing-key': '9.0',
  'customerio-track-api-key': '8.0',
  'customerio-site-id': '3.0'
}

/**
 * Findings as SARIF 2.1.0 (OASIS, 2020), for code scanning pages.
 *
 * @param version of this program
 * @param problems what could not be looked through: with any, the run counts as failed
 */
export function toSarif(
  fresh: readonly Finding[],
  accepted: readonly Finding[],
  version: string,
  problems: readonly string[]
): object {
  const ids = Object.keys(rules) as RuleId[]
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'cio-webhook leaks',
            semanticVersion: version,
            rules: ids.map(id => ruleOf(id, rules[id]))
          }
        },
        columnKind: 'utf16CodeUnits',
        invocations: [
          {
            executionSuccessful: problems.length === 0,
            toolExecutionNotifications: problems.map(text => ({ level: 'error', message: { text } }))
          }
        ],
        results: [
          ...fresh.map(finding => resultOf(finding, ids)),
          ...accepted.map(finding => ({
            ...resultOf(finding, ids),
            suppressions: [{ kind: 'external', status: 'accepted' }]
          }))
        ]
      }
    ]
  }
}

function ruleOf(id: RuleId, { name, description, help }: Rule) {
  return {
    id,
    name: name.replaceAll(/[^A-Za-z]/g, ''),
    shortDescription: { text: name },
    fullDescription: { text: description },
    help: { text: help },
    properties: { tags: ['security'], 'security-severity': severity[id] }
  }
}

function resultOf(finding: Finding, ids: readonly RuleId[]) {
  const { rule, secret, encoding, masked, fingerprint, place, file, line, commit, certainty } = finding
  const what = secret ?? rules[rule].name
  const since = commit === undefined ? '' : `, since commit ${commit.oid}`
  return {
    ruleId: rule,
    ruleIndex: ids.indexOf(rule),
    level: levelOf(finding),
    message: {
      text: `${what}: ${masked}${encoding === 'plain' ? '' : ` as ${encoding}`} in ${place} ${file}${since}`
    },
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
      certainty,
      place,
      encoding,
      masked,
      ...(commit === undefined ? {} : { commit: commit.oid, date: commit.date })
    }
  }
}
