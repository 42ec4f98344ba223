import { isCard } from './card.ts'
import { isQuotedLocalPart } from './email-text.ts'
import type { FieldRule } from './field-rules.ts'
import { REDACTED } from './policy.ts'
import { unescapePercent } from './raw-form.ts'
import type { RawPolicy, Scrubbed } from './raw-text.ts'
import { isMark, readString, readValue, type StringToken, skipBlanks, unescapeJson } from './raw-value.ts'

/** A name outside quotes; letters of it may be escaped as in JSON or in a URL. */
const word = /(?:[\w$\u0080-\uffff-]|(?:%|\\u00)(?:2d|3\d|5f|[46][1-9a-f]|[57][0-9a])){1,200}/iy
const LONGEST_NAME = 200
const lastName = /[\w$\u0080-\uffff-]{1,200}$/
const strippedName = /[\w$\u0080-\uffff].*[\w$\u0080-\uffff]/s
const partName = /name\s{0,4}=\s{0,4}$/i
const tagStart = /<(?:[\w.-]{1,64}:)?$/
const jsonBefore = /[[:,]\s{0,8}$/
const jsonAfter = /^\s{0,8}[,}\]]/
type Key = { start: number; end: number; quoted: boolean }
type Separator = { sign: string; end: number }

/** Between a name and its value: quotes, brackets, stray commas, then a colon or an equals sign. */
function separatorAfter(text: string, from: number): Separator | undefined {
  const closers = /[\s"'()[\]{},\\]*(?:(&quot;)|([:=]|%3[ad]))?/iy
  closers.lastIndex = from
  let found = closers.exec(text)
  while (found?.[1] !== undefined) found = closers.exec(text)
  const sign = found?.[2]
  if (sign === undefined) return undefined
  return { sign: sign === ':' || sign.toLowerCase() === '%3a' ? ':' : '=', end: closers.lastIndex }
}

/**
 * One pass over the text. Strings are opened, scrubbed and closed again; what stands between them is searched
 * for names. A lost quote swaps the two, which is why names are looked for in both.
 */
export function walkRaw(text: string, level: number, policy: RawPolicy): Scrubbed {
  let done = '' // finished, up to the last string
  let between = '' // since then, to be masked as one piece
  let index = 0
  let copied = 0
  let open = false

  function replaceBare(from: number, to: number, replacement: string) {
    between += text.slice(copied, from) + replacement
    copied = index = to
  }

  function replace(from: number, to: number, replacement: string) {
    if (!/^["[{]/.test(replacement) || isMark(replacement, 0)) return replaceBare(from, to, replacement)
    done += policy.mask(between + text.slice(copied, from)) + replacement
    between = ''
    copied = index = to
  }

  function field(rule: FieldRule, key: Key, separator: Separator) {
    const start = skipBlanks(text, separator.end)
    // Only a whole string can be an address; everything else is left to the masks.
    if (rule.action === 'hash-in-place-if-address' && text[start] !== '"') {
      index = separator.end
      return
    }
    const value = readValue(text, start, separator.sign, rule.action === 'cut-query')
    if (value.kind === 'none') {
      open = true
      index = value.end
      return
    }
    const shown =
      value.kind === 'bare' && separator.sign === '='
        ? { ...value, value: unescapePercent(value.value) }
        : value
    if (value.kind === 'broken') open = true
    const replacement = policy.replacement(rule, shown, level)
    if (replacement === undefined) {
      index = separator.end
      return
    }
    if (rule.action === 'hash')
      replace(key.start, key.end, key.quoted ? JSON.stringify(rule.output) : rule.output)
    const quoted = key.quoted && value.kind === 'broken' ? JSON.stringify(REDACTED) : replacement
    replace(start, value.end, quoted)
  }

  /** Stray punctuation inside the quotes does not hide a name. */
  function quotedRule(content: string): FieldRule | undefined {
    const bare = isMark(content, 0) ? '' : (strippedName.exec(content)?.[0] ?? '')
    return policy.ruleFor(content) ?? policy.ruleFor(bare)
  }

  /** A part of a multipart form: gone up to the next boundary. */
  function part(from: number) {
    const boundary = text.startsWith('--') ? text.slice(0, 200).split(/\s/, 1)[0] : undefined
    const next = boundary === undefined ? -1 : text.indexOf(`\n${boundary}`, from)
    replaceBare(from, next === -1 ? text.length : next, REDACTED)
  }

  /** An XML element: gone up to the last closing tag of its name. */
  function element(name: string, from: number) {
    if (text[skipBlanks(text, from)] === '/') {
      index = from
      return
    }
    const closing = text.lastIndexOf(`</${name}`)
    replaceBare(from, closing > from ? closing : text.length, `>${REDACTED}`)
  }

  function isPartName(start: number): boolean {
    return partName.test(text.slice(Math.max(0, start - 16), start))
  }

  function string() {
    const start = index
    const token = readString(text, start)
    const next = skipBlanks(text, token.end)
    const followed = token.closed && next < text.length && !',}]'.includes(text.charAt(next))
    const closing = token.closed ? '"' : ''
    if (token.content === '_preserveEmail') return replace(start, token.end, `"${REDACTED}${closing}`)
    const rule = token.closed && token.content.length <= LONGEST_NAME ? quotedRule(token.content) : undefined
    if (rule !== undefined && isPartName(start)) {
      index = token.end
      return part(token.end)
    }
    const separator = rule === undefined ? undefined : separatorAfter(text, token.end)
    if (rule !== undefined && (followed || separator !== undefined)) {
      if (separator !== undefined) return field(rule, { start, end: token.end, quoted: true }, separator)
      if (rule.action === 'redact' || rule.action === 'hash') {
        return replace(next, text.length, JSON.stringify(REDACTED)) // its colon is lost
      }
    }
    // An address, no JSON string: back into the text, whose mask takes it as a whole.
    if (isQuotedLocalPart(token.content, text, token.end)) return replaceBare(start, token.end, 'quoted')
    const inner = policy.scrub(token.content, level + 1)
    const same = inner.text === token.content
    replace(
      start,
      token.end,
      same ? text.slice(start, token.end) : `"${JSON.stringify(inner.text).slice(1, -1)}${closing}`
    )
    if (swallowedName(token)) return
    if (!inner.open) return
    if (!token.closed) open = true
    else if (followed) replace(next, text.length, JSON.stringify(REDACTED)) // a lost quote: the value comes here
  }

  /** A lost quote made one string of a covered name and what stood before it: what follows is its value. */
  function swallowedName(token: StringToken): boolean {
    const last = token.closed ? lastName.exec(token.content.slice(-LONGEST_NAME))?.[0] : undefined
    const rule = last === undefined ? undefined : policy.ruleFor(last)
    if (rule?.action !== 'redact' && rule?.action !== 'hash') return false
    const separator = separatorAfter(text, token.end)
    if (separator === undefined) return false
    const value = readValue(text, separator.end, separator.sign, false)
    if (value.kind === 'none' || value.kind === 'broken') open = true
    if (value.kind !== 'none') replace(skipBlanks(text, separator.end), value.end, JSON.stringify(REDACTED))
    return true
  }

  function name(found: string) {
    const start = index
    const end = start + found.length
    const plain = unescapePercent(unescapeJson(found))
    if (plain === '_preserveEmail') return replaceBare(start, end, REDACTED)
    const rule = policy.ruleFor(plain)
    if (rule === undefined) {
      index = end
      if (level === 0 && isJsonCard(start, end)) replace(start, end, '"[CARD]"')
      return
    }
    if (tagStart.test(text.slice(Math.max(0, start - 66), start))) return element(found, end)
    if (isPartName(start)) return part(end)
    const separator = separatorAfter(text, end)
    if (separator === undefined) index = end
    else field(rule, { start, end, quoted: false }, separator)
  }

  /** A number where JSON has a value: its mask is a string, as it would be in an object. */
  function isJsonCard(start: number, end: number): boolean {
    if (end - start > 19 || !/^\d{13,}$/.test(text.slice(start, end)) || !isCard(text.slice(start, end)))
      return false
    return (
      jsonBefore.test(text.slice(Math.max(0, start - 9), start)) && jsonAfter.test(text.slice(end, end + 9))
    )
  }

  while (index < text.length) {
    const character = text.charAt(index)
    if (character === '"') string()
    else if (character === '[' && isMark(text, index)) index = text.indexOf(']', index)
    else {
      word.lastIndex = index
      const found = word.exec(text)
      if (found === null) index++
      else name(found[0])
    }
  }
  return { text: done + policy.mask(between + text.slice(copied)), open }
}
