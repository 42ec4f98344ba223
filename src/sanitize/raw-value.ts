/** A token between double quotes, its escapes resolved as far as they can be. */
export type StringToken = { content: string; end: number; closed: boolean }

/**
 * What follows a key and its separator.
 * - `none`: nothing, the text ends
 * - `json`: a whole JSON value with what may follow one behind it
 * - `bare`: text without quotes and brackets, to the end of its line or form field
 * - `broken`: anything else; where it ends nobody can say, so it reaches to the end of the text
 */
export type RawValue =
  | { kind: 'none'; end: number }
  | { kind: 'json'; end: number; value: unknown }
  | { kind: 'bare'; end: number; value: string }
  | { kind: 'broken'; end: number; quoted: boolean }

const shortEscapes: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }

/** JSON's escapes resolved; what is no escape of JSON's stays as it is. */
export function unescapeJson(text: string): string {
  if (!text.includes('\\')) return text
  return text.replace(
    /\\(?:u([0-9a-fA-F]{4})|(["\\/])|([bfnrt]))/g,
    (_, hex?: string, itself?: string, short?: string) =>
      hex === undefined
        ? (itself ?? shortEscapes[short ?? ''] ?? '')
        : String.fromCharCode(Number.parseInt(hex, 16))
  )
}

/** The string that opens at `start`, to its closing quote or to the end of the text. */
export function readString(text: string, start: number): StringToken {
  const stops = /["\\]/g
  stops.lastIndex = start + 1
  for (let stop = stops.exec(text); stop !== null; stop = stops.exec(text)) {
    if (stop[0] === '"') {
      return { content: unescapeJson(text.slice(start + 1, stop.index)), end: stop.index + 1, closed: true }
    }
    stops.lastIndex = stop.index + 2
  }
  return { content: unescapeJson(text.slice(start + 1)), end: text.length, closed: false }
}

/** The index of the first character from `start` on that is not blank. */
export function skipBlanks(text: string, start: number): number {
  const blanks = /\s*/y
  blanks.lastIndex = start
  blanks.test(text)
  return blanks.lastIndex
}

/** The end of the object or array that opens at `start`, or -1 where it stays open. */
function balancedEnd(text: string, start: number): number {
  const stops = /["{}[\]]/g
  stops.lastIndex = start
  let depth = 0
  for (let stop = stops.exec(text); stop !== null; stop = stops.exec(text)) {
    if (stop[0] === '"') {
      const token = readString(text, stop.index)
      if (!token.closed) return -1
      stops.lastIndex = token.end
    } else depth += stop[0] === '{' || stop[0] === '[' ? 1 : -1
    if (depth === 0) return stops.lastIndex
  }
  return -1
}

const scalar = /(?:-?\d{1,400}(?:\.\d{1,400})?(?:e[+-]?\d{1,9})?|true|false|null)(?=\s{0,99}(?:[,}\]]|$))/iy
/** What a first pass left. A second must not take `[EMAIL]: x` for a field of that name. */
export const mark = /\[(?:REDACTED|EMAIL|PHONE|CARD|SSN)\]/g

export function isMark(text: string, index: number): boolean {
  return /^\[(?:REDACTED|EMAIL|PHONE|CARD|SSN)\]/.test(text.slice(index, index + 10))
}

function parsed(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

/** Nothing but the end, a comma or a closing bracket may stand behind a JSON value; more behind `name=`. */
function endsCleanly(text: string, end: number, separator: string): boolean {
  const next = skipBlanks(text, end)
  if (next === text.length) return true
  if (text.slice(end, next).includes('\n') && /[\w<-]/.test(text.charAt(next))) return true
  if (separator === '=' && next > end) return true
  return (separator === '=' ? ',}])>/;&?' : ',}]').includes(text.charAt(next))
}

/** `separator`: `:` or `=`. `wholeLine`: a bare value after `=` does not end at `&`. */
export function readValue(text: string, from: number, separator: string, wholeLine: boolean): RawValue {
  const start = skipBlanks(text, from)
  if (start === text.length) return { kind: 'none', end: start }
  const first = text.charAt(start)
  if (first === '"') {
    const token = readString(text, start)
    return token.closed && endsCleanly(text, token.end, separator)
      ? { kind: 'json', end: token.end, value: token.content }
      : { kind: 'broken', end: text.length, quoted: true }
  }
  if ((first === '{' || first === '[') && !isMark(text, start)) {
    const end = balancedEnd(text, start)
    const json = end === -1 ? undefined : parsed(text.slice(start, end))
    return json !== undefined && endsCleanly(text, end, separator)
      ? { kind: 'json', end, value: json.value }
      : { kind: 'broken', end: text.length, quoted: true }
  }
  scalar.lastIndex = start
  const found = separator === ':' ? scalar.exec(text) : null
  const json = found === null ? undefined : parsed(found[0])
  if (json !== undefined) return { kind: 'json', end: scalar.lastIndex, value: json.value }
  return readBare(text, start, separator, wholeLine)
}

function readBare(text: string, start: number, separator: string, wholeLine: boolean): RawValue {
  const stops = separator === '=' && !wholeLine ? /[&\r\n]/g : /[\r\n]+(?![ \t\r\n])/g
  stops.lastIndex = start
  const stop = stops.exec(text)
  const value = text.slice(start, stop?.index ?? text.length).trimEnd()
  const unmarked = value.replaceAll(mark, '')
  if (/["'`{}[\]<>\\]/.test(unmarked)) return { kind: 'broken', end: text.length, quoted: false }
  return { kind: 'bare', end: start + value.length, value }
}
