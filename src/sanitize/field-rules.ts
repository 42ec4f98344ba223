import { type Action, ALL_EVENTS, fieldPath, normaliseName, type Policy, type Rule } from './policy.ts'

/** The object that contains a value: its name in its own parent. Arrays do not count as objects. */
export type Parent = { name: string; parent: Parent | undefined }

export type FieldRule = {
  action: Action
  /** The key a hash is written to. */
  output: string
  /** Normalised names of the objects around the field, the nearest first. */
  ancestors: readonly string[]
  /** The events the rule is for; all of them if undefined. */
  event: RegExp | undefined
  /** The one field `_preserveEmail` may keep. */
  preservable: boolean
}

/** What is known about a key, whatever its value. */
export type Field = {
  /** The key in the sanitized event, unless a rule renames it. */
  name: string
  normal: string
  rules: readonly FieldRule[]
  /** Whether it is the error text of a provider. It may quote the local part of an address. */
  isErrorText: boolean
}

export type Fields = {
  of(key: string): Field
  /** `event`: `<object_type>.<metric>` */
  ruleFor(field: Field, parent: Parent | undefined, event: string): FieldRule | undefined
  hasPaths: boolean
}

const NO_RULES: readonly FieldRule[] = []
/** Events have a few dozen keys. Keys that a sender invents beyond that must not fill the memory. */
const MAX_SEEN_KEYS = 2000
const MAX_SEEN_KEY_LENGTH = 64

const typeNames = new Set(['objecttype', 'objecttypetype', 'metric', 'eventtype', 'type', 'event'])
/** `id`, `delivery_id`, `DELIVERY-ID`, `timestamp`, `created_at`; not `valid`, `format`. */
const idOrTime = /(?:^|[_-])ids?$|time(?:stamp)?$|[_-]at$/i
/** `userId`, `userID`, `sentAt` */
const idOrTimeInCamelCase = /[a-z0-9](?:I[dD]s?|At)$/
const ERROR_TEXT = 'failuremessage'

/**
 * Rules by normalised key. `redactFields` come first, then the longer path, then redaction; `idPaths` come last.
 * `maskText` cleans keys no rule is for: a key may be an address.
 */
export function compileFields(
  policy: Policy,
  redactFields: readonly string[],
  idPaths: readonly (readonly string[])[],
  maskText: (text: string) => string
): Fields {
  const rules = new Map<string, FieldRule[]>()
  const add = (path: readonly string[], action: Action, event?: RegExp) => {
    const rule = compileRule(path, action, event)
    const name = normaliseName(path.at(-1) ?? '')
    rules.set(name, [...(rules.get(name) ?? []), rule])
  }
  for (const [field, rule] of Object.entries(policy.fields)) {
    for (const [action, event] of actionsByEvent(rule)) add(fieldPath(field), action, event)
  }
  for (const ofName of rules.values()) ofName.sort(byPrecedence)
  for (const path of idPaths) {
    add(path, 'hash-in-place-if-address')
    if (path.some(isIndex))
      add(
        path.filter(name => !isIndex(name)),
        'hash-in-place-if-address'
      )
  }
  for (const field of redactFields) {
    const name = normaliseName(fieldPath(field).at(-1) ?? '')
    rules.set(name, [compileRule(fieldPath(field), 'redact'), ...(rules.get(name) ?? [])])
  }
  for (const rule of [...rules.values()].flat())
    resolveHashConflict(rule, rules.get(normaliseName(rule.output)))

  const read = (key: string): Field => {
    const normal = normaliseName(key)
    const own = rules.get(normal) ?? NO_RULES
    const always = own.some(rule => rule.ancestors.length === 0 && rule.event === undefined)
    return {
      name: always ? key : maskText(key),
      normal,
      rules: own,
      isErrorText: normal === ERROR_TEXT
    }
  }
  const seen = new Map<string, Field>()
  return {
    hasPaths: [...rules.values()].flat().some(rule => rule.ancestors.length > 0),
    of(key) {
      const known = seen.get(key)
      if (known !== undefined) return known
      const field = read(key)
      if (key.length <= MAX_SEEN_KEY_LENGTH) {
        if (seen.size >= MAX_SEEN_KEYS) seen.clear()
        seen.set(key, field)
      }
      return field
    },
    ruleFor({ rules }, parent, event) {
      for (const rule of rules) {
        if (isInside(parent, rule.ancestors) && (rule.event === undefined || rule.event.test(event)))
          return rule
      }
      return undefined
    }
  }
}

/** Whether it is an id, a time or the type of an event: hashed values of the same event are not masked in it. */
export function isFixed(key: string, { normal, rules }: Field): boolean {
  if (typeNames.has(normal)) return true
  if (!idOrTime.test(key) && !idOrTimeInCamelCase.test(key)) return false
  return !rules.some(({ action }) => action === 'hash')
}

function compileRule(path: readonly string[], action: Action, event?: RegExp): FieldRule {
  const [name = '', ...around] = [...path].reverse()
  return {
    action,
    output: `${name}_hash`,
    ancestors: around.map(normaliseName),
    event,
    preservable: action === 'hash' && around.length === 0 && normaliseName(name) === 'email'
  }
}

/** `*.bounced` fits `email.bounced`. */
function actionsByEvent(rule: Rule): [Action, RegExp | undefined][] {
  if (typeof rule === 'string') return [[rule, undefined]]
  return Object.entries(rule).map(([event, action]) => [
    action,
    event === ALL_EVENTS ? undefined : new RegExp(`^${event.replace('.', '\\.').replaceAll('*', '.*')}$`, 'i')
  ])
}

/** Rules of equal precedence stay in the order of the policy. */
function byPrecedence(a: FieldRule, b: FieldRule): number {
  return (
    b.ancestors.length - a.ancestors.length ||
    Number(b.event !== undefined) - Number(a.event !== undefined) ||
    Number(b.action === 'redact') - Number(a.action === 'redact')
  )
}

/** The number in a pointer such as `/messages/0/id` can be an index or a name. Rules look through arrays. */
const isIndex = (name: string): boolean => /^\d+$/.test(name)

function isInside(parent: Parent | undefined, ancestors: readonly string[]): boolean {
  let around = parent
  for (const name of ancestors) {
    if (around?.name !== name) return false
    around = around.parent
  }
  return true
}

/**
 * A second pass meets the key a hash was written to. If that name is redacted, the field is redacted at once; any
 * other rule for it would change the hash.
 */
function resolveHashConflict(rule: FieldRule, rulesOfOutput: readonly FieldRule[] | undefined): void {
  if (rule.action !== 'hash' || rulesOfOutput === undefined) return
  if (rulesOfOutput.some(other => other.action !== 'redact')) {
    throw new Error(`not a PII policy: ${rule.output}, which a hash is written to, has a rule of its own`)
  }
  rule.action = 'redact'
  rule.preservable = false
}
