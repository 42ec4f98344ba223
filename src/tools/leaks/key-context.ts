import { type ImportedClients, isHandedToClient } from './client-calls.ts'
import type { Certainty, RuleId } from './rules.ts'
import {
  isSection,
  type Level,
  levelsAround,
  withoutObjectsAfter,
  withoutObjectsBefore
} from './structure.ts'

/**
 * What stands around a text that has the length of a key. Hexadecimal digits of these lengths are everywhere (MD5,
 * SHA-256, UUIDs without dashes), and so is Customer.io in a repository that uses it: what tells a key is the name it
 * has, and failing that, what it is handed to, and what it stands beside.
 */
export interface Context {
  /** Digits of the text. */
  readonly length: number
  readonly left: string
  readonly right: string
  /** What the whole text imports. */
  readonly clients: ImportedClients | undefined
}

export interface Classification {
  readonly rule: RuleId
  readonly certainty: Certainty
}

/** As many bytes before and behind a text count. */
export const CONTEXT_BYTES = 4096
const LINE_BEFORE_BYTES = 200
const LINE_AFTER_BYTES = 120
const HEADING_LINES = 40

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

/**
 * `name =`, `"name":`, `name => `, `name || `, `name, ` and the like, or a bare word, right before the value; between
 * them a function, of Helm too, or a YAML tag.
 */
const OWNER =
  /(?<![\w$.-])([A-Za-z_$][\w$.-]*)["'`\])\\]*(\s*(?::=|=>|->|\?\?=?|\|\|=?|[:=,>])\s*|\s+)(?:!!?\w+\s+)?["'`]?(?:-?\s*(?:b64enc|quote|toString|default)\s+)*(?:[A-Za-z_]+\(\s*)?["'`<\\]*(?:(?:bearer|basic|token)\s+)?$/i

/** Where a key can't be without one of these in its context: in any case, and hardly anywhere else. */
export const MENTION = /c(?:ustomer)?[._ -]?io|(?:track|api)client/gi

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
    const isSectionLine = isSection(candidate)
    const isComment = /^\s*(?:#|\/\/|\/?\*|--|;|<!--)/.test(candidate)
    if (own < indentation || (isSectionLine && inSection) || (isComment && inParagraph))
      headings.push(candidate)
    if (isSectionLine) inSection = false
    if (!isComment) indentation = Math.min(indentation, own)
  }
  return headings.join('\n')
}

/** A list's dash counts as a blank: what follows it belongs together. */
const indentationOf = (line: string): number => /^[\s]*/.exec(line)?.[0].length ?? 0

/** @returns which key it would be and how sure that is; `undefined` when it has no such name */
export function classify(context: Context): Classification | undefined {
  const { clients } = context
  const { left, right } = withoutTemplateBraces(joinedToName(context.left), context.right)
  const ownLine = lastLine(left).slice(-LINE_BEFORE_BYTES)
  const found = ownerOf(ownLine)
  if (isChecksum(ownLine, right) || (found !== undefined && isOther(found))) return undefined
  if (clients !== undefined && context.length < 64) {
    const isHanded = clients.variables.has(found ?? '') || isHandedToClient(left, clients)
    if (isHanded) return verdict(context, ownLine, found ?? '', 'possible')
  }
  const owner = found !== undefined && HOLLOW_NAME.test(found) ? undefined : found
  const named = owner !== undefined && (KEY_WORD.test(owner) || SITE_WORD.test(owner))
  if (owner !== undefined && isProvider(owner)) {
    return verdict(context, ownLine, owner, named ? 'likely' : 'possible')
  }
  if (owner !== undefined && !named) return undefined

  const ownText = withoutObjectsBefore(left)
  const textBehind = withoutObjectsAfter(right)
  const before = lastLine(ownText).slice(-LINE_BEFORE_BYTES)
  const line = `${before} ${firstLine(textBehind).slice(0, LINE_AFTER_BYTES)}`
  const above = ownText.slice(0, ownText.lastIndexOf('\n') + 1).split(/\r?\n/)
  const headings = headingsOf(before, above.slice(-1 - HEADING_LINES, -1))
  if (!isProvider(line) && !isProvider(headings)) {
    return isNamedBeside(owner ?? found, levelsAround(ownText, textBehind))
      ? verdict(context, before, owner ?? '', 'possible')
      : undefined
  }
  if (owner !== undefined) return verdict(context, before, owner, 'possible')
  const around = `${headings}\n${line}`
  if (!KEY_WORD.test(around) && !SITE_WORD.test(around) && !CLIENT.test(around)) return undefined
  return verdict(context, before, `${lastLine(headings)} ${before}`, 'possible')
}

/** A value may stand on the line below its name: `key: >-`, `key =`, `key = \\`. */
function joinedToName(left: string): string {
  if (lastLine(left).trim().length > 1) return left
  const end = left.slice(-LINE_BEFORE_BYTES)
  const joined = end.replace(/([:=])[ \t]*(?:[>|][+-]?\d?|\\)?\r?\n[ \t]*(["'`]?)$/, '$1 $2')
  return joined === end ? left : left.slice(0, left.length - end.length) + joined
}

/** The braces of a Helm template are no object's. If a value stands in one, it is open on both sides. */
function withoutTemplateBraces(left: string, right: string): { left: string; right: string } {
  if (!left.includes('{{') && !right.includes('{{')) return { left, right }
  const closed = left.replace(TEMPLATE, '  $1  ')
  const open = closed.replace(/\{\{([^{}\n]*)$/, '  $1')
  const behind = open === closed ? right : right.replace(/^([^{}\n]*)\}\}/, '$1  ')
  return { left: open, right: behind.replace(TEMPLATE, '  $1  ') }
}

const TEMPLATE = /\{\{([^{}]*)\}\}/g

/** `<checksum>  file`, `SHA256 (file) = <checksum>`, `<sha256 value="<checksum>"`, `"…/file.ts": "<checksum>"`. */
const CHECKSUM_BEFORE =
  /(?:sha-?\d*|md5)\s*\([^)]*\)\s*=\s*$|<\s*(?:sha\d+|md5)\b[^<>]*$|\/[\w.-]+\.[a-z]{1,5}["'`]\s*[:=]\s*["'`]?$/i
const CHECKSUM_BEHIND = /^[ \t]+\*?[\w./-]+\.\w{1,8}[ \t]*(?:\r?\n|$)/

const isChecksum = (before: string, right: string): boolean =>
  CHECKSUM_BEFORE.test(before) || (before.trim() === '' && CHECKSUM_BEHIND.test(right))

/** Fields that name what an object is about: the first ones say so much that no outer object is asked. */
const NAME = /^(?:name|type|provider|service|integration|destination|connector|vendor|platform|slug)$/i
const IDENTITY =
  /^[\s"'`\\<-]*(name|type|provider|service|integration|destination|connector|vendor|platform|slug|kind|channel|target|label|id|key|app|application|namespace|title|image|host|url|base_?url|endpoint)["'`\\]*\s*(?:=>|[:=>])\s*(.*)$/i
/** Objects that only hold the settings of the one they are in, and items of a list, which have no name. */
const CONTAINER =
  /^[\s"'`\\-]*(?:(?:const|let|var|export|this\.|self\.)\s*)*(?:(?:string_?)?data|(?:config(?:uration)?|settings?|options?|credentials?|auth(?:entication|orization)?|param(?:eter)?s?|prop(?:ertie)?s|env(?:ironment)?|var(?:iable)?s|secrets?|keys?|tokens?|values?|attributes|connection|spec|accounts?|access|api|args|inputs?|fields|details|headers|client|sdk|defaults?|prod(?:uction)?|staging|dev(?:elopment)?|test|live|us|eu)(?:_?(?:vars|variables|settings|config|data))?|[\w-]*\.[\w.-]+)?["'`\\]*\s*[:=]?\s*(?:[|>][-+]?)?\s*[[(]*\s*$/i
/** Words of which the name of a key consists that does not say whose it is. */
const GENERIC_WORD =
  /^(?:api|app|site|track|tracking|access|auth|authorization|secret|private|signing|webhook|client|bearer|basic|live|prod|production|new|old|current|default|my|the|rest|server|transactional|key|keys|token|id|password|passwd|pass|pwd|credential|credentials|value|val|content|data|string|text|\d+)$/i

/** Is what a text stands in named after the provider? */
export const isAboutProvider = (left: string, right: string): boolean =>
  isNamedBeside('key', levelsAround(withoutObjectsBefore(left), withoutObjectsAfter(right)))

/** Does the name of the provider stand in a field beside the value, or beside the settings it is one of? */
function isNamedBeside(owner: string | undefined, levels: readonly Level[]): boolean {
  if (owner === undefined || !wordsOf(owner).every(word => GENERIC_WORD.test(word))) return false
  const isHollow = !KEY_WORD.test(owner) && !SITE_WORD.test(owner)
  const tells = (name: string): boolean => !isHollow || KEY_WORD.test(name) || SITE_WORD.test(name)
  for (const { header, entries } of levels) {
    const fields = entries.flatMap(entry => {
      const [, field, value] = IDENTITY.exec(entry) ?? []
      return field === undefined || value === undefined ? [] : [{ field, value }]
    })
    const name =
      fields.map(({ value }) => value).find(isProvider) ?? (isProvider(header) ? header : undefined)
    if (name !== undefined) return tells(name)
    if (fields.some(({ field }) => NAME.test(field)) || !CONTAINER.test(header)) return false
  }
  return false
}

const wordsOf = (name: string): readonly string[] =>
  name
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .replace(/([A-Z])([A-Z][a-z])/g, '$1 $2')
    .split(/[^A-Za-z0-9]+/)
    .filter(word => word !== '')

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
  if (name === undefined || /^[0-9a-f]{20,}$/i.test(name)) return undefined
  const byBlankOnly = /^\s+$/.test(match?.[2] ?? '')
  const says = KEY_WORD.test(name) || SITE_WORD.test(name) || isProvider(name) || isOther(name)
  return byBlankOnly && !says ? undefined : name
}

function verdict(
  { length, right }: Context,
  before: string,
  name: string,
  certainty: Certainty
): Classification {
  if (length === 64) return { rule: 'customerio-signing-key', certainty }
  if (length === 32) return { rule: 'customerio-app-api-key', certainty }
  const isFirstOfTwo = /^["'`]?\s*[:,]\s*["'`]?[0-9a-f]{20}(?![0-9a-f])/i.test(right)
  const isSecondOfTwo = /[0-9a-f]{20}["'`]?\s*[:,]\s*["'`]?$/i.test(before)
  const isSite =
    isFirstOfTwo || (!isSecondOfTwo && SITE_WORD.test(name) && !/key["'`]?\s*[:=]\s*["'`]?$/i.test(before))
  return { rule: isSite ? 'customerio-site-id' : 'customerio-track-api-key', certainty }
}

const firstLine = (text: string): string => text.split(/\r?\n/, 1)[0] ?? ''
const lastLine = (text: string): string => text.slice(text.lastIndexOf('\n') + 1)
