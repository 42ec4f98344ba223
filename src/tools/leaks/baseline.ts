import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { readJsonFile } from '../../json-file.ts'
import type { Finding } from './finding.ts'

/*
 * What somebody has looked at and accepted. An entry names a value by its fingerprint and the place it may be in:
 * the same value elsewhere, another value in the same place, and a value that meanwhile is configured are new.
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
  /** Entries that nothing was found for: the baseline says more than is true. */
  readonly stale: readonly AcceptedLeak[]
}

/** @throws ConfigError naming the line and the key */
export function readBaseline(path: string): readonly AcceptedLeak[] {
  return readJsonFile('--baseline', path, fileSchema).accepted
}

export function triageFindings(findings: readonly Finding[], baseline: readonly AcceptedLeak[]): Triage {
  const entries = new Map(baseline.map(entry => [keyOf(entry), entry]))
  const met = new Set<string>()
  const fresh: Finding[] = []
  const accepted: Finding[] = []
  for (const finding of findings) {
    const key = keyOf(finding)
    met.add(key)
    if (entries.has(key)) accepted.push(finding)
    else fresh.push(finding)
  }
  return { fresh, accepted, stale: baseline.filter(entry => !met.has(keyOf(entry))) }
}

/** The text of a baseline that accepts all of these. What somebody wrote about an entry is kept. */
export function formatBaseline(findings: readonly Finding[], previous: readonly AcceptedLeak[]): string {
  const reasons = new Map(previous.map(entry => [keyOf(entry), entry.why]))
  const accepted = new Map<string, AcceptedLeak>()
  for (const { fingerprint, rule, file, masked } of findings) {
    const key = keyOf({ fingerprint, file, rule })
    accepted.set(key, { fingerprint, rule, file, masked, why: reasons.get(key) ?? '' })
  }
  const sorted = [...accepted].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry)
  return `${JSON.stringify({ version: 1, accepted: sorted }, null, 2)}\n`
}

/** @returns what stands in the file, nothing where there is none */
export function readBaselineIfThere(path: string): readonly AcceptedLeak[] {
  try {
    readFileSync(path)
  } catch {
    return []
  }
  return readBaseline(path)
}

const keyOf = ({
  file,
  rule,
  fingerprint
}: Pick<Finding | AcceptedLeak, 'file' | 'rule' | 'fingerprint'>): string =>
  JSON.stringify([file, rule, fingerprint])
