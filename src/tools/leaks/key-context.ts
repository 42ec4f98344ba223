import { type ImportedClients, isPassedToClient } from './client-calls.ts'
import type { Certainty, RuleId } from './rules.ts'
import { isSection, type Level, levelsAround, withoutObjects } from './structure.ts'

/**
 * The context of hexadecimal digits with the length of a key. Such digits are common (MD5, SHA-256, UUIDs without
 * dashes), and so is the word Customer.io in a repository that uses it. So a key is recognized by its name, by the call
 * it is passed to, or by the fields beside it.
 */
interface Context {
  /** Number of digits. */
  readonly length: number
  readonly left: string
  readonly right: string
  /** Imported by the text that contains the digits. */
  readonly clients: ImportedClients | undefined
}

interface Classification {
  readonly rule: RuleId
  readonly certainty: Certainty
}

/** Bytes before and after a value that are its context. */
export const CONTEXT_BYTES = 4096
const LINE_BEFORE_BYTES = 200
const LINE_AFTER_BYTES = 120
const HEADING_LINES = 40

/** "cio" as a word of its own, in snake, kebab, dotted or camel case: not in "precio" or "conscious". */
const CIO = /(?<![A-Za-z])cio(?![a-z])|(?<![A-Za-z])C(?:IO|io)(?![a-z])|(?<=[a-z])C(?:IO|io)(?![a-z])/
const CUSTOMER_IO = /customer(?:[._-]?io| io\b)/i
const KEY_WORD = /key|secret|token|passw|pwd|auth|bearer|basic|credential|signing/i
const SITE_WORD = /site[_. -]?id|\bsite\b/i
/** The name of this client in all libraries of Customer.io, and in no other library. */
const TRACK_CLIENT = /\b(?:New)?TrackClient\b/
const CLIENT =
  /\b(?:(?:New)?(?:Track|API)Client|CustomerIO|Customerio|Region(?:US|EU)|(?:track|api)(?:-eu)?\.customer\.io)\b/

/** Names of values that have the shape of a key but are not one. */
const OTHER_NAME =
  /sha-?\d*|md5|hash|digest|checksum|integrity|etag|commit|revision|signature|hmac|nonce|uuid|guid|trace|span|request|delivery|event|message|anonymous|fingerprint|version|blob|tree|image|\bids?$|[a-z]Id$|_ids?$/i
const OTHER_KEY = /(?:cache|idempotency|primary|foreign|public|partition|dedupe|sort|host|object)[_-]?key/i
/** Names without meaning: the context must say what the value is. */
const EMPTY_NAME =
  /^(?:value|val|default|content|data|string|text|const|let|var|env|export|is|was|to|with|of|the|new|old|current|previous|prod|production|staging|dev|test|u|user|live)$/i

/**
 * `name =`, `"name":`, `name => `, `name || `, `name, ` and the like, or a bare word, right before the value. A function
 * (also of Helm) or a YAML tag may be between them.
 */
const OWNER =
  /(?<![\w$.-])([A-Za-z_$][\w$.-]*)["'`\])\\]*(\s*(?::=|=>|->|\?\?=?|\|\|=?|[:=,>])\s*|\s+)(?:!!?\w+\s+)?["'`]?(?:-?\s*(?:b64enc|quote|toString|default)\s+)*(?:[A-Za-z_]+\(\s*)?["'`<\\]*(?:(?:bearer|basic|token)\s+)?$/i

/** Every key has one of these in its context. Rare elsewhere, so the first and cheapest check. */
export const MENTION = /c(?:ustomer)?[._ -]?io|(?:track|api)client/gi

/** The lines above that are indented less than all lines below them, the section, and the comments of the paragraph. */
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

const indentationOf = (line: string): number => /^\s*/.exec(line)?.[0].length ?? 0

/** @returns which key a value is, and how certain that is; `undefined` if its context does not say so */
export function classify(context: Context): Classification | undefined {
  const { clients } = context
  const { left, right } = withoutTemplateBraces(joinedToName(context.left), context.right)
  const ownLine = lastLine(left).slice(-LINE_BEFORE_BYTES)
  const found = ownerOf(ownLine)
  if (isChecksum(ownLine, right) || (found !== undefined && isOther(found))) return undefined
  if (clients !== undefined && context.length < 64) {
    const isPassed = clients.variables.has(found ?? '') || isPassedToClient(left, clients)
    if (isPassed) return classification(context, ownLine, found ?? '', 'possible')
  }
  const owner = found !== undefined && EMPTY_NAME.test(found) ? undefined : found
  const named = owner !== undefined && (KEY_WORD.test(owner) || SITE_WORD.test(owner))
  if (owner !== undefined && isProvider(owner)) {
    return classification(context, ownLine, owner, named ? 'likely' : 'possible')
  }
  if (owner !== undefined && !named) return undefined

  const ownText = withoutObjects(left, 'before')
  const textAfter = withoutObjects(right, 'after')
  const before = lastLine(ownText).slice(-LINE_BEFORE_BYTES)
  const line = `${before} ${firstLine(textAfter).slice(0, LINE_AFTER_BYTES)}`
  const above = ownText.slice(0, ownText.lastIndexOf('\n') + 1).split(/\r?\n/)
  const headings = headingsOf(before, above.slice(-1 - HEADING_LINES, -1))
  if (!isProvider(line) && !isProvider(headings)) {
    return isNamedBeside(owner ?? found, levelsAround(ownText, textAfter))
      ? classification(context, before, owner ?? '', 'possible')
      : undefined
  }
  if (owner !== undefined) return classification(context, before, owner, 'possible')
  const around = `${headings}\n${line}`
  if (!KEY_WORD.test(around) && !SITE_WORD.test(around) && !CLIENT.test(around)) return undefined
  return classification(context, before, `${lastLine(headings)} ${before}`, 'possible')
}

/** Joins a value to a name on the line above: `key: >-`, `key =`, `key = \\`. */
function joinedToName(left: string): string {
  if (lastLine(left).trim().length > 1) return left
  const end = left.slice(-LINE_BEFORE_BYTES)
  const joined = end.replace(/([:=])[ \t]*(?:[>|][+-]?\d?|\\)?\r?\n[ \t]*(["'`]?)$/, '$1 $2')
  return joined === end ? left : left.slice(0, left.length - end.length) + joined
}

/** Removes the braces of Helm templates, which are not objects; also of the template that contains the value. */
function withoutTemplateBraces(left: string, right: string): { left: string; right: string } {
  if (!left.includes('{{') && !right.includes('{{')) return { left, right }
  const closed = left.replace(TEMPLATE, '  $1  ')
  const open = closed.replace(/\{\{([^{}\n]*)$/, '  $1')
  const after = open === closed ? right : right.replace(/^([^{}\n]*)\}\}/, '$1  ')
  return { left: open, right: after.replace(TEMPLATE, '  $1  ') }
}

const TEMPLATE = /\{\{([^{}]*)\}\}/g

/** `<checksum>  file`, `SHA256 (file) = <checksum>`, `<sha256 value="<checksum>"`, `"…/file.ts": "<checksum>"`. */
const CHECKSUM_BEFORE =
  /(?:sha-?\d*|md5)\s*\([^)]*\)\s*=\s*$|<\s*(?:sha\d+|md5)\b[^<>]*$|\/[\w.-]+\.[a-z]{1,5}["'`]\s*[:=]\s*["'`]?$/i
const CHECKSUM_AFTER = /^[ \t]+\*?[\w./-]+\.\w{1,8}[ \t]*(?:\r?\n|$)/

const isChecksum = (before: string, right: string): boolean =>
  CHECKSUM_BEFORE.test(before) || (before.trim() === '' && CHECKSUM_AFTER.test(right))

/** Fields that name an object. With one of them, outer objects are not considered. */
const NAME = /^(?:name|type|provider|service|integration|destination|connector|vendor|platform|slug)$/i
/** These fields, and others that can mention the provider. */
const IDENTITY =
  /^[\s"'`\\<-]*(name|type|provider|service|integration|destination|connector|vendor|platform|slug|kind|channel|target|label|id|key|app|application|namespace|title|image|host|url|base_?url|endpoint)["'`\\]*\s*(?:=>|[:=>])\s*(.*)$/i
/** Headers of objects that contain settings of the outer object, and of list items, which have no name. */
const CONTAINER =
  /^[\s"'`\\-]*(?:(?:const|let|var|export|this\.|self\.)\s*)*(?:(?:string_?)?data|(?:config(?:uration)?|settings?|options?|credentials?|auth(?:entication|orization)?|param(?:eter)?s?|prop(?:ertie)?s|env(?:ironment)?|var(?:iable)?s|secrets?|keys?|tokens?|values?|attributes|connection|spec|accounts?|access|api|args|inputs?|fields|details|headers|client|sdk|defaults?|prod(?:uction)?|staging|dev(?:elopment)?|test|live|us|eu)(?:_?(?:vars|variables|settings|config|data))?|[\w-]*\.[\w.-]+)?["'`\\]*\s*[:=]?\s*(?:[|>][-+]?)?\s*[[(]*\s*$/i
/** The words of names that do not say whose key it is. */
const GENERIC_WORD =
  /^(?:api|app|site|track|tracking|access|auth|authorization|secret|private|signing|webhook|client|bearer|basic|live|prod|production|new|old|current|default|my|the|rest|server|transactional|key|keys|token|id|password|passwd|pass|pwd|credential|credentials|value|val|content|data|string|text|\d+)$/i

/** Whether the objects around a value are named after the provider. */
export const isAboutProvider = (left: string, right: string): boolean =>
  isNamedBeside('key', levelsAround(withoutObjects(left, 'before'), withoutObjects(right, 'after')))

/** Whether a field beside the value, or beside the settings that contain it, names the provider. */
function isNamedBeside(owner: string | undefined, levels: readonly Level[]): boolean {
  if (owner === undefined || !wordsOf(owner).every(word => GENERIC_WORD.test(word))) return false
  const isVague = !KEY_WORD.test(owner) && !SITE_WORD.test(owner)
  const isEnough = (name: string): boolean => !isVague || KEY_WORD.test(name) || SITE_WORD.test(name)
  for (const { header, entries } of levels) {
    const fields = entries.flatMap(entry => {
      const [, field, value] = IDENTITY.exec(entry) ?? []
      return field === undefined || value === undefined ? [] : [{ field, value }]
    })
    const name =
      fields.map(({ value }) => value).find(isProvider) ?? (isProvider(header) ? header : undefined)
    if (name !== undefined) return isEnough(name)
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

/** The name right before a value. Another value (two arguments, `id:key`) is not a name, nor is the dash of an option. */
function ownerOf(before: string): string | undefined {
  const match = OWNER.exec(before)
  const name = match?.[1]
  if (name === undefined || /^[0-9a-f]{20,}$/i.test(name)) return undefined
  const isBareWord = /^\s+$/.test(match?.[2] ?? '')
  const isTelling = KEY_WORD.test(name) || SITE_WORD.test(name) || isProvider(name) || isOther(name)
  return isBareWord && !isTelling ? undefined : name
}

function classification(
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
