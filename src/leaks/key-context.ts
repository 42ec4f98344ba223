import type { Certainty, RuleId } from './rules.ts'

/**
 * What stands around a text that has the length of a key. Hexadecimal digits of these lengths are everywhere (MD5,
 * SHA-256, UUIDs without dashes), and so is Customer.io in a repository that uses it: what tells a key is the name it
 * has, and failing that, what it is handed to.
 */
export interface Context {
  readonly length: number
  /** The line up to the text, without opening quotes. */
  readonly before: string
  /** The line behind it. */
  readonly after: string
  /** The lines that this one belongs under: less indented, a section's name, a comment on its paragraph. */
  readonly headings: string
}

export interface Verdict {
  readonly rule: RuleId
  readonly certainty: Certainty
}

/** As many bytes before and behind a text count. */
export const CONTEXT_BYTES = 1024
const LINE_BEFORE_BYTES = 200
const LINE_AFTER_BYTES = 120
const HEADING_LINES = 16

/** "cio" only as a word of its own, be it in snake, kebab, dotted or camel case: not in "precio" or "conscious". */
const CIO = /(?<![A-Za-z])cio(?![a-z])|(?<![A-Za-z])C(?:IO|io)(?![a-z])|(?<=[a-z])C(?:IO|io)(?![a-z])/
const CUSTOMER_IO = /customer(?:[._-]?io| io\b)/i
const KEY_WORD = /key|secret|token|passw|pwd|auth|bearer|basic|credential|signing/i
const SITE_WORD = /site[_. -]?id|\bsite\b/i
/** The name of this client in all of Customer.io's libraries, and of nobody else's. */
const TRACK_CLIENT = /\b(?:New)?TrackClient\b/
const CLIENT =
  /\b(?:(?:New)?(?:Track|API)Client|CustomerIO|Customerio|Region(?:US|EU)|(?:track|api)(?:-eu)?\.customer\.io)\b/

/** Names of what looks like a key and is none. */
const OTHER_NAME =
  /sha-?\d*|md5|hash|digest|checksum|integrity|etag|commit|revision|signature|hmac|nonce|uuid|guid|trace|span|request|delivery|event|message|anonymous|fingerprint|version|blob|tree|image|\bids?$|[a-z]Id$|_ids?$/i
const OTHER_KEY = /(?:cache|idempotency|primary|foreign|public|partition|dedupe|sort|host|object)[_-]?key/i
/** Names that say nothing about a value: what it is stands elsewhere on the line, or above. */
const HOLLOW_NAME =
  /^(?:value|val|default|content|data|string|text|const|let|var|env|export|is|was|to|with|of|the|new|old|current|previous|prod|production|staging|dev|test|u|user|live)$/i

/** `name =`, `"name":`, `name => `, `name || `, `name, ` and the like, or a bare word, right before the value. */
const OWNER =
  /(?<![\w$.-])([A-Za-z_$][\w$.-]*)["'`\])]*(\s*(?::=|=>|->|\?\?=?|\|\|=?|[:=,])\s*|\s+)(?:[A-Za-z_]+\(\s*)?["'`<\\]*(?:(?:bearer|basic|token)\s+)?$/i

export function contextOf(buffer: Buffer, start: number, end: number): Context {
  const left = buffer.toString('latin1', Math.max(0, start - CONTEXT_BYTES), start)
  const right = buffer.toString('latin1', end, end + LINE_AFTER_BYTES)
  const lines = left.split(/\r?\n/)
  const line = lines.pop() ?? ''
  return {
    length: end - start,
    before: line.slice(-LINE_BEFORE_BYTES),
    after: right.split(/\r?\n/, 1)[0] ?? '',
    headings: headingsOf(line, lines.slice(-HEADING_LINES))
  }
}

/** From the line upwards: every line that is indented less than all below it, and comments on the paragraph. */
function headingsOf(line: string, above: readonly string[]): string {
  const headings: string[] = []
  let indentation = indentationOf(line)
  let inParagraph = true
  let inSection = true
  for (const candidate of above.toReversed()) {
    if (candidate.trim() === '') {
      inParagraph = false
      continue
    }
    const own = indentationOf(candidate)
    const isSection = /^\s*\[[^\]]+\]\s*$/.test(candidate)
    const isComment = /^\s*(?:#|\/\/|\/?\*|--|;|<!--)/.test(candidate)
    if (own < indentation || (isSection && inSection) || (isComment && inParagraph)) headings.push(candidate)
    if (isSection) inSection = false
    if (!isComment) indentation = Math.min(indentation, own)
  }
  return headings.join('\n')
}

/** A list's dash counts as a blank: what follows it belongs together. */
const indentationOf = (line: string): number => /^[\s]*/.exec(line)?.[0].length ?? 0

/** @returns which key it would be and how sure that is; `undefined` when it has no such name */
export function judge(context: Context): Verdict | undefined {
  const { before, after, headings } = context
  const line = `${before} ${after}`
  if (!isProvider(line) && !isProvider(headings)) return undefined

  const found = ownerOf(before)
  if (found !== undefined && isOther(found)) return undefined
  const owner = found !== undefined && HOLLOW_NAME.test(found) ? undefined : found
  if (owner !== undefined) {
    const named = KEY_WORD.test(owner) || SITE_WORD.test(owner)
    if (isProvider(owner)) return verdict(context, owner, named ? 'likely' : 'possible')
    return named ? verdict(context, owner, 'possible') : undefined
  }
  const around = `${headings}\n${line}`
  if (!KEY_WORD.test(around) && !SITE_WORD.test(around) && !CLIENT.test(around)) return undefined
  return verdict(context, `${lastLine(headings)} ${before}`, 'possible')
}

const isProvider = (text: string): boolean =>
  CIO.test(text) || CUSTOMER_IO.test(text) || TRACK_CLIENT.test(text)

function isOther(name: string): boolean {
  if (OTHER_KEY.test(name)) return true
  if (SITE_WORD.test(name)) return false
  return OTHER_NAME.test(name) && !/(?:key|secret|token|password)s?$/i.test(name)
}

/** The name right before a value. A value before it (two arguments, `id:key`) is no name, nor is an option's dash. */
function ownerOf(before: string): string | undefined {
  const match = OWNER.exec(before)
  const name = match?.[1]
  if (name === undefined || /^[0-9a-f]{20,}$/.test(name)) return undefined
  const byBlankOnly = /^\s+$/.test(match?.[2] ?? '')
  const says = KEY_WORD.test(name) || SITE_WORD.test(name) || isProvider(name) || isOther(name)
  return byBlankOnly && !says ? undefined : name
}

function verdict({ length, before, after }: Context, name: string, certainty: Certainty): Verdict {
  if (length === 64) return { rule: 'customerio-signing-key', certainty }
  if (length === 32) return { rule: 'customerio-app-api-key', certainty }
  const isFirstOfTwo = /^["'`]?\s*[:,]\s*["'`]?[0-9a-f]{20}(?![0-9a-f])/.test(after)
  const isSecondOfTwo = /[0-9a-f]{20}["'`]?\s*[:,]\s*["'`]?$/.test(before)
  const isSite =
    isFirstOfTwo || (!isSecondOfTwo && SITE_WORD.test(name) && !/key["'`]?\s*[:=]\s*["'`]?$/i.test(before))
  return { rule: isSite ? 'customerio-site-id' : 'customerio-track-api-key', certainty }
}

const lastLine = (text: string): string => text.slice(text.lastIndexOf('\n') + 1)
