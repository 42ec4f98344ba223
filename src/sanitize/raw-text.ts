import type { FieldRule } from './field-rules.ts'
import { isAddress, textMask } from './personal-text.ts'
import { allTextKinds, REDACTED } from './policy.ts'
import { decodeForm, encodeForm, formName, isForm, unescapePercent } from './raw-form.ts'
import { readString, readValue, skipBlanks, unescapeJson } from './raw-value.ts'

/** JSON in a string in a string …: deeper than this nobody means it. */
const MAX_LEVEL = 6
const MULTIPART_NAME = /name\s{0,4}=\s{0,4}$/i
/** A name outside quotes; letters of it may be escaped as JSON or URLs do. */
const word = new RegExp(
  String.raw`(?:[\w$\u0080-\uffff-]|(?:%|\\u00)(?:2d|3\d|5f|[46][1-9a-f]|[57][0-9a]))+`.replace(
    /\+$/,
    '{1,200}'
  ),
  'iy'
)
/** A number that stands where JSON has a value. */
const jsonInteger = /(?<=[[:,]\s{0,8})\d{13,19}(?=\s{0,8}[,}\]])/g
/** Half an address, where the text was cut off. */
const cutAddress = /[^\s"'<>()[\],;:@]+(?:@|%40|\\u0040)[^\s"'<>()[\],;:@]*$/i

type Scrubbed = {
  text: string
  /** The text ends behind a covered name and its separator: its value comes after the text. */
  open: boolean
}

/**
 * A scrubber for bodies that cannot be read as an event: broken JSON, other JSON, forms, XML, `name: value`
 * lines, any text. Wherever a name the policy covers is followed by a value, the value goes: replaced as in an
 * object where it is whole, else cut away to the end of its line, tag or of the whole text. It knows no
 * structure, so a rule for a path holds for its last name everywhere, and nothing is preserved.
 *
 * `hashed`: what replaces the value of a hashed field.
 */
export function compileRawScrubber(
  ruleFor: (name: string) => FieldRule | undefined,
  hashed: (value: unknown) => unknown
): (raw: string) => string {
  const maskText = textMask(allTextKinds)
  const maskCards = textMask(['card'])

  function scrub(text: string, level: number): Scrubbed {
    if (text === '') return { text, open: false }
    if (level > MAX_LEVEL) return { text: REDACTED, open: false }
    if (isForm(text)) return { text: scrubForm(text, level), open: false }
    return new Walk(text, level).run()
  }

  return raw => ''
}
