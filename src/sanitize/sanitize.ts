import { compileDigest } from './digest.ts'
import { compileFields } from './field-rules.ts'
import { GrowthBudget } from './growth-budget.ts'
import { HashedValues } from './hashed-values.ts'
import { maskId } from './mask-id.ts'
import { textMask } from './mask-text.ts'
import type { Pass } from './pass.ts'
import type { Policy } from './policy.ts'
import { REDACTED } from './redacted.ts'
import { repeatedValues } from './repeated-values.ts'
import { compileWalker, TOO_LARGE } from './walker.ts'

export { MAX_DEPTH } from './walker.ts'

export type SanitizerOptions = {
  /** HMAC key for hashes; without it they are plain SHA-256. */
  hashKey?: string | undefined
  /** Further fields to redact; they take precedence over every other rule for the same field. */
  redactFields?: readonly string[] | undefined
  /** Paths of names whose value is an id, such as the target of a source's id pointer. */
  idPaths?: readonly (readonly string[])[] | undefined
}

/** What is known about a value besides itself. */
export type About = {
  /** `<object_type>.<metric>`; read from the value unless given. */
  readonly event?: string
  /** Size of the body the value was parsed from. */
  readonly bodyBytes?: number
}

export type Sanitizer = {
  /**
   * A new JSON value without what the policy covers; both may hold `LosslessNumber`s. Never throws.
   * `value(value(x))` equals `value(x)`, with one exception: an e-mail address that
   * `_preserveEmail` kept is hashed by a second pass, because `_preserveEmail` itself is removed.
   */
  value(json: unknown, about?: About): unknown
  /** An id as it may be shown: itself, or a hash of it. Different ids stay different. */
  maskId(text: string): string
}

/** Throws where the policy contradicts itself: a hash whose new name is covered by another rule than redact. */
export function compileSanitizer(policy: Policy, options: SanitizerOptions = {}): Sanitizer {
  const maskText = textMask(policy.text)
  const masksEmail = policy.text.includes('email')
  const fields = compileFields(policy, options.redactFields ?? [], options.idPaths ?? [], maskText)
  const digest = compileDigest(options.hashKey)
  const walk = compileWalker({ fields, masksCards: policy.text.includes('card'), digest })
  const showsIds = !masksEmail && !policy.text.includes('phone')

  function sanitized(json: unknown, { event, bodyBytes }: About): unknown {
    const mask = rememberLongTexts(maskText)
    const first: Pass = {
      event: event ?? eventOf(json),
      budget: new GrowthBudget(bodyBytes),
      maskText: mask,
      collectsOnly: false,
      hashed: new HashedValues(),
      errorTexts: [],
      texts: [],
      numbers: [],
      repeated: undefined
    }
    const clean = walk(json, first)
    // The walk through a field that grew too large ended early, but its hashed values may be elsewhere too.
    if (first.budget.isExceeded)
      walk(json, { ...first, budget: GrowthBudget.unlimited(), collectsOnly: true })
    // All hashed values are known only now. Few events have any that could be repeated.
    const repeated = repeatedValues(first.hashed, first.errorTexts, { maskText: mask, masksEmail })
    if (repeated === undefined || !(first.budget.isExceeded || repeated.mayChange(first))) return clean
    return walk(json, { ...first, budget: new GrowthBudget(bodyBytes), repeated })
  }

  return {
    value(json, about = {}) {
      return orRedacted(() => {
        const clean = sanitized(json, about)
        return clean === TOO_LARGE ? REDACTED : (clean ?? null)
      })
    },
    maskId: text => orRedacted(() => (showsIds ? text : maskId(text, digest)))
  }
}

/** From this length on, masking a text takes longer than a look-up of its result. */
const LONG_TEXT_LENGTH = 256

/** `mask`, which computes each long text once: an event is walked up to three times. */
function rememberLongTexts(mask: (text: string) => string): (text: string) => string {
  let masked: Map<string, string> | undefined
  return text => {
    if (text.length < LONG_TEXT_LENGTH) return mask(text)
    masked ??= new Map()
    const known = masked.get(text) ?? mask(text)
    masked.set(text, known)
    return known
  }
}

/** Getters and proxies may throw, and a caller may have used up the stack: then the whole value is redacted. */
function orRedacted<T>(act: () => T): T | typeof REDACTED {
  try {
    return act()
  } catch {
    return REDACTED
  }
}

/** `<object_type>.<metric>` of a payload, also in the older flat format (`event_type: "email_opened"`). */
function eventOf(json: unknown): string {
  if (typeof json !== 'object' || json === null) return ''
  const { object_type, object_type_type, metric, event_type } = json as Readonly<Record<string, unknown>>
  if (typeof metric === 'string') return `${object_type ?? object_type_type}.${metric}`
  return typeof event_type === 'string' ? event_type.replace(/^(in_app|[a-z]+)_/, '$1.') : ''
}
