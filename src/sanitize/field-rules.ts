import { type Action, fieldPath, normaliseName, type Policy } from './policy.ts'

/** The object a value stands in: the name it has in its own parent. Arrays are looked through. */
export type Parent = { name: string; parent: Parent | undefined }

export type FieldRule = {
  action: Action
  /** The key a hash is written to. */
  output: string
  /** Normalised names of the objects around the field, the nearest first. */
  ancestors: readonly string[]
  /** The one field `_preserveEmail` may keep. */
  preservable: boolean
}

/** All that is known of a key, whatever its value. */
export type Field = { name: string; normal: string; rules: readonly FieldRule[] }

export type Fields = {
  of(key: string): Field
  ruleFor(field: Field, parent: Parent | undefined): FieldRule | undefined
  hasPaths: boolean
}

const NO_RULES: readonly FieldRule[] = []
/** Events have a few dozen keys. What a sender makes up beyond that must not fill the memory. */
const MAX_SEEN_KEYS = 2000
const MAX_SEEN_KEY_LENGTH = 64

/**
 * Rules by normalised key. Redaction comes first, then the longer path. `maskText` cleans keys no rule is for:
 * a key may be an address.
 */
export function compileFields(
  policy: Policy,
  redactFields: readonly string[],
  maskText: (text: string) => string
): Fields {
  const rules = new Map<string, FieldRule[]>()
  for (const [field, action] of [
    ...Object.entries(policy.fields),
    ...redactFields.map(field => [field, 'redact'] as const)
  ]) {
    const [name = '', ...around] = fieldPath(field).reverse()
    const rule = {
      action,
      output: `${name}_hash`,
      ancestors: around.map(normaliseName),
      preservable: action === 'hash' && around.length === 0 && normaliseName(name) === 'email'
    }
    const normal = normaliseName(name)
    rules.set(normal, [...(rules.get(normal) ?? []), rule])
  }
  for (const ofName of rules.values()) {
    for (const rule of ofName) settleOutput(rule, rules.get(normaliseName(rule.output)))
    ofName.sort(
      (a, b) =>
        Number(b.action === 'redact') - Number(a.action === 'redact') ||
        b.ancestors.length - a.ancestors.length
    )
  }

  const seen = new Map<string, Field>()
  return {
    hasPaths: [...rules.values()].flat().some(rule => rule.ancestors.length > 0),
    of(key) {
      const known = seen.get(key)
      if (known !== undefined) return known
      const normal = normaliseName(key)
      const own = rules.get(normal) ?? NO_RULES
      const always = own.some(rule => rule.ancestors.length === 0)
      const field = { name: always ? key : maskText(key), normal, rules: own }
      if (key.length <= MAX_SEEN_KEY_LENGTH) {
        if (seen.size >= MAX_SEEN_KEYS) seen.clear()
        seen.set(key, field)
      }
      return field
    },
    ruleFor(field, parent) {
      for (const rule of field.rules) if (isInside(parent, rule.ancestors)) return rule
      return undefined
    }
  }
}

function isInside(parent: Parent | undefined, ancestors: readonly string[]): boolean {
  let around = parent
  for (const name of ancestors) {
    if (around?.name !== name) return false
    around = around.parent
  }
  return true
}

/**
 * A second pass meets the key a hash was written to. Where that name is redacted, the field is redacted at
 * once; any other rule for it would change the hash.
 */
function settleOutput(rule: FieldRule, rulesOfOutput: readonly FieldRule[] | undefined): void {
  if (rule.action !== 'hash' || rulesOfOutput === undefined) return
  if (rulesOfOutput.some(other => other.action !== 'redact')) {
    throw new Error(`not a PII policy: ${rule.output}, which a hash is written to, has a rule of its own`)
  }
  rule.action = 'redact'
  rule.preservable = false
}
