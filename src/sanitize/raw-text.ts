import type { FieldRule } from './field-rules.ts'
import { isAddress, textMask } from './personal-text.ts'
import { allTextKinds, REDACTED } from './policy.ts'
import { decodeForm, encodeForm, formName, isForm, unescapePercent } from './raw-form.ts'
import type { RawValue } from './raw-value.ts'
import { walkRaw } from './raw-walk.ts'

/** JSON in a string in a string …: deeper than this nobody means it. */
const MAX_LEVEL = 6
/**
 * A mask may take a quote or a bracket with it, so that what is left reads as a form or has other strings in
 * it. So the text is scrubbed until nothing changes: nearly always that is the second pass.
 */
const MAX_PASSES = 6
/** Half an address, where the text was cut off. */
const cutAddress = /[^\s"'<>()[\],;:@]+(?:@|%40|\\u0040)[^\s"'<>()[\],;:@]*$/i
const LONGEST_ADDRESS = 320

export type Scrubbed = {
  text: string
  /** The text ends behind a covered name and its separator: its value comes after the text. */
  open: boolean
}

/** What the walk over a text asks for. */
export type RawPolicy = {
  ruleFor(name: string): FieldRule | undefined
  /** The replacement of a field's value as it is to stand in the text; undefined: leave it to the walk. */
  replacement(rule: FieldRule, value: RawValue, level: number): string | undefined
  scrub(text: string, level: number): Scrubbed
  mask(text: string): string
}

/**
 * A scrubber for bodies that cannot be read as an event: broken JSON, other JSON, forms, XML, `name: value`
 * lines, any text. Wherever a name the policy covers is followed by a value, the value goes: replaced as in an
 * object where it is whole, else cut away to the end of its line, of its tag or of the text. It knows no
 * structure, so a rule for a path holds for its last name everywhere, and nothing is preserved.
 *
 * `hashed`: what replaces the value of a hashed field.
 */
export function compileRawScrubber(
  ruleFor: (name: string) => FieldRule | undefined,
  hashed: (value: unknown) => unknown
): (raw: string) => string {
  const mask = textMask(allTextKinds)
  const policy: RawPolicy = { ruleFor, replacement, scrub, mask }

  function scrub(text: string, level: number): Scrubbed {
    if (text === '') return { text, open: false }
    if (level > MAX_LEVEL) return { text: REDACTED, open: false }
    const form = text.trimEnd()
    if (!isForm(form)) return walkRaw(text, level, policy)
    if (form.includes('=')) return { text: scrubForm(form, level) + text.slice(form.length), open: false }
    const decoded = unescapePercent(text)
    if (decoded === text) return walkRaw(text, level, policy)
    const { text: scrubbed, open } = scrub(decoded, level + 1)
    return { text: scrubbed === decoded ? text : encodeForm(scrubbed), open }
  }

  function scrubForm(text: string, level: number): string {
    return text
      .split('&')
      .map(pair => {
        const equals = pair.indexOf('=')
        if (equals === -1) return formPart(pair, level)
        return formField(pair.slice(0, equals), pair.slice(equals + 1), level)
      })
      .join('&')
  }

  function formField(key: string, encoded: string, level: number): string {
    const decodedKey = decodeForm(key)
    const name = formName(decodedKey)
    const value = decodeForm(encoded)
    if (name === '_preserveEmail') return `${REDACTED}=${REDACTED}`
    const rule = ruleFor(name)
    const kept = formPart(key, level)
    if (rule?.action === 'redact') return `${kept}=${REDACTED}`
    if (rule?.action === 'hash') {
      const at = kept.lastIndexOf(name)
      const renamed = at === -1 ? rule.output : kept.slice(0, at) + rule.output + kept.slice(at + name.length)
      return `${renamed}=${hashed(value)}`
    }
    if (rule?.action === 'hash-in-place-if-address' && isAddress(value)) return `${kept}=${hashed(value)}`
    if (rule?.action !== 'cut-query') return `${kept}=${formPart(encoded, level)}`
    const cut = value.replace(/[?#].*/s, '')
    return `${kept}=${formPart(cut === value ? encoded : encodeForm(cut), level)}`
  }

  /** A plus is one of a telephone number or a blank between the groups of a card: both are tried. */
  function formPart(encoded: string, level: number): string {
    const decoded = unescapePercent(encoded)
    const scrubbed = withoutCutAddress(scrub(decoded, level + 1).text)
    const kept = scrubbed === decoded ? encoded : encodeForm(scrubbed).replaceAll('%2B', '+')
    if (!kept.includes('+')) return kept
    const spaced = decodeForm(kept)
    const masked = mask(spaced)
    return masked === spaced ? kept : encodeForm(masked).replaceAll('%20', '+')
  }

  function replacement(rule: FieldRule, value: RawValue, level: number): string | undefined {
    const text =
      value.kind === 'bare' || (value.kind === 'json' && typeof value.value === 'string') ? value.value : null
    const written = (result: unknown) => (value.kind === 'bare' ? String(result) : JSON.stringify(result))
    if (rule.action === 'hash-in-place-if-address') {
      return typeof text === 'string' && isAddress(text) ? written(hashed(text)) : undefined
    }
    if (value.kind === 'broken') return value.quoted ? JSON.stringify(REDACTED) : REDACTED
    if (rule.action === 'redact' || value.kind === 'none') return written(REDACTED)
    if (rule.action === 'hash') return written(hashed(value.value))
    if (typeof text === 'string') return written(scrub(text.replace(/[?#].*/s, ''), level + 1).text)
    return typeof value.value === 'object' && value.value !== null ? written(REDACTED) : undefined
  }

  return raw => {
    let text = raw
    for (let pass = 0; pass < MAX_PASSES; pass++) {
      const scrubbed = withoutCutAddress(scrub(text, 0).text)
      if (scrubbed === text) return text
      text = scrubbed
    }
    return REDACTED
  }
}

function withoutCutAddress(text: string): string {
  const tail = text.slice(-LONGEST_ADDRESS)
  if (!/[@%\\]/.test(tail)) return text
  return text.slice(0, text.length - tail.length) + tail.replace(cutAddress, '[EMAIL]')
}
