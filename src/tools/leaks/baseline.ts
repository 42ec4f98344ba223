import { existsSync } from 'node:fs'
import { z } from 'zod'
import { readJsonFile } from '../../json-file.ts'
import type { Finding } from './finding.ts'

/*
 * The file of accepted findings. An entry accepts one value (by fingerprint) in one file by one rule. The same value in
 * another file, another value in that file, and a value that has become a configured secret (another rule) are new.
 */

const entrySchema = z.strictObject({
  fingerprint: z.string().regex(/^[0-9a-f]{16}$/),
  rule: z.string(),
  file: z.string(),
  masked: z.string(),
  why: z.string()
})
const fileSchema = z.strictObject({ version: z.literal(1), accepted: z.array(entrySchema) })

export type AcceptedLeak = z.infer<typeof entrySchema>

export interface Triage {
  readonly fresh: readonly Finding[]
  readonly accepted: readonly Finding[]
  /** Entries of the baseline that match no finding. */
  readonly stale: readonly AcceptedLeak[]
}

/** @throws ConfigError naming the line and the key */
export function readBaseline(path: string): readonly AcceptedLeak[] {
  return readJsonFile('--baseline', path, fileSchema).accepted
}

/** @returns the entries of the file; none if it does not exist */
export const readBaselineIfExists = (path: string): readonly AcceptedLeak[] =>
  existsSync(path) ? readBaseline(path) : []

export function triageFindings(findings: readonly Finding[], baseline: readonly AcceptedLeak[]): Triage {
  const entryKeys = new Set(baseline.map(keyOf))
  const findingKeys = new Set(findings.map(keyOf))
  return {
    fresh: findings.filter(finding => !entryKeys.has(keyOf(finding))),
    accepted: findings.filter(finding => entryKeys.has(keyOf(finding))),
    stale: baseline.filter(entry => !findingKeys.has(keyOf(entry)))
  }
}

/**
 * The text of a baseline that accepts all findings. The reasons in `previous` are kept.
 *
 * @param isWhole whether everything was searched: only then an entry of `previous` without a finding is left out
 */
export function formatBaseline(
  findings: readonly Finding[],
  previous: readonly AcceptedLeak[],
  isWhole = true
): string {
  const reasons = new Map(previous.map(entry => [keyOf(entry), entry.why]))
  const accepted = new Map(isWhole ? [] : previous.map(entry => [keyOf(entry), entry]))
  for (const finding of findings) {
    const { fingerprint, rule, file, masked } = finding
    const key = keyOf(finding)
    accepted.set(key, { fingerprint, rule, file, masked, why: reasons.get(key) ?? '' })
  }
  const sorted = [...accepted].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
  return `${JSON.stringify({ version: 1, accepted: sorted }, null, 2)}\n`
}

const keyOf = ({ file, rule, fingerprint }: Finding | AcceptedLeak): string =>
  JSON.stringify([file, rule, fingerprint])
