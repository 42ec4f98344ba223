import { checksumSections, type SectionMemory } from './checksums.ts'
import { type ImportedClients, importedClients } from './client-calls.ts'
import type { Encoding } from './encodings.ts'
import { CONTEXT_BYTES, classify, isAboutProvider, MENTION } from './key-context.ts'
import { isWordByte } from './pattern-search.ts'
import type { Certainty, RuleId } from './rules.ts'

/** A value with the shape of a key of Customer.io, in a context that names it. */
interface ShapeMatch {
  readonly start: number
  readonly end: number
  readonly rule: RuleId
  readonly certainty: Certainty
  readonly encoding: Extract<Encoding, 'plain' | 'base64'>
  /** The key itself, in lower case as Customer.io writes it. */
  readonly value: string
}

/** State that is carried from one region of a text to the next. */
export interface TextMemory extends SectionMemory {
  clients?: ImportedClients | undefined
}

const hexDigits = byteSet('0123456789abcdefABCDEF')
const base64Characters = byteSet('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')

const KEY_LENGTHS = new Set([20, 32, 64])
const SHORTEST_KEY = 20
const HEX_KEY = /^(?:[0-9a-f]+|[0-9A-F]+)$/
const LOGIN = /^[0-9a-f]{20}:[0-9a-f]{20}$/i
/** Base64 of the shortest key, without padding, and of the longest, with the line break of `echo`. */
const SHORTEST_BASE64 = 27
const LONGEST_BASE64 = 88
/** First characters of base64 of hexadecimal digits: MNO for 0-9, YZ for a-f, QR for A-F. */
const hexInBase64 = byteSet('MNOYZQR')
/** A Kubernetes Secret has at most 1 MiB. */
const LONGEST_FILE_BASE64 = 1.5 * 1024 * 1024

/** Finds keys that start in [from, limit). Their context may be anywhere in the buffer. */
export function findKeyShapes(
  buffer: Buffer,
  from: number,
  limit: number,
  onMatch: (match: ShapeMatch) => void,
  memory: TextMemory = {}
): void {
  const region = regionOf(buffer, memory)
  const isChecksum = checksumSections(buffer, from > 0, memory)
  eachRun(buffer, hexDigits, SHORTEST_KEY, from, (start, end) => {
    if (start >= limit || !KEY_LENGTHS.has(end - start)) return
    if (!region.isMentionedAround(start, end)) return
    const value = buffer.toString('latin1', start, end)
    if (HEX_KEY.test(value)) match(start, end, value, 'plain')
  })
  eachRun(buffer, base64Characters, SHORTEST_BASE64, from, (start, end) => {
    if (start >= limit) return
    if (end - start > LONGEST_BASE64) {
      if (end - start <= LONGEST_FILE_BASE64 && region.holdsSecrets()) findInFile(start, end)
      return
    }
    if (hexInBase64[buffer[start] ?? 0] !== 1) return
    const text = buffer.toString('latin1', start, end)
    const decoded = Buffer.from(text, 'base64').toString('latin1').trimEnd()
    if (LOGIN.test(decoded) && looksRandom(decoded)) {
      const encoding = 'base64'
      onMatch({ start, end, rule: 'customerio-basic-auth', certainty: 'certain', encoding, value: text })
    } else if (KEY_LENGTHS.has(decoded.length) && HEX_KEY.test(decoded)) {
      if (region.isMentionedAround(start, end)) match(start, end, decoded, 'base64')
    }
  })

  function match(start: number, end: number, value: string, encoding: ShapeMatch['encoding']): void {
    if (!looksRandom(value)) return
    const verdict = classify({ length: value.length, ...textAround(start, end), clients: region.clients() })
    if (verdict === undefined || isChecksum(start)) return
    onMatch({ start, end, ...verdict, encoding, value: value.toLowerCase() })
  }

  function textAround(start: number, end: number) {
    return {
      left: buffer.toString('latin1', Math.max(0, start - CONTEXT_BYTES), start),
      right: buffer.toString('latin1', end, end + CONTEXT_BYTES)
    }
  }

  /** Finds keys in a file of a Kubernetes Secret, such as an .env. The file or the Secret may name Customer.io. */
  function findInFile(start: number, end: number): void {
    const { left, right } = textAround(start, end)
    const file = Buffer.from(buffer.toString('latin1', start, end), 'base64')
    const named = isAboutProvider(left, right) ? underHeading('customerio:', file) : file
    findKeyShapes(named, 0, named.length, found => onMatch({ ...found, start, end, encoding: 'base64' }))
  }
}

const underHeading = (heading: string, file: Buffer): Buffer =>
  Buffer.from(`${heading}\n${file.toString('latin1').replace(/^/gm, ' ')}`, 'latin1')

/** To be called at the end of a region: the imports count for the rest of the text too. */
export function rememberClients(buffer: Buffer, memory: TextMemory): void {
  memory.clients = regionOf(buffer, memory).clients()
}

/** Facts about a region, each determined at most once, and only if something has the shape of a key. */
function regionOf(buffer: Buffer, memory: TextMemory) {
  let text: string | undefined
  let mentions: readonly number[] | undefined
  let secrets: boolean | undefined
  let clients: { readonly imported: ImportedClients | undefined } | undefined
  const wholeText = (): string => (text ??= buffer.toString('latin1'))
  const allMentions = (): readonly number[] =>
    (mentions ??= [...wholeText().matchAll(MENTION)].map(({ index }) => index))
  return {
    clients: (): ImportedClients | undefined => {
      clients ??= { imported: buffer.includes('ustomerio') ? importedClients(wholeText()) : undefined }
      return clients.imported ?? memory.clients
    },
    holdsSecrets: (): boolean => (secrets ??= buffer.includes('Secret') && SECRET.test(wholeText())),
    /** Whether Customer.io is mentioned nearby, or its library imported anywhere; cheap compared to `classify`. */
    isMentionedAround(start: number, end: number): boolean {
      const first = firstAtLeast(allMentions(), start - CONTEXT_BYTES)
      const isNear = first !== undefined && first <= end + CONTEXT_BYTES
      return isNear || this.clients() !== undefined
    }
  }
}

function firstAtLeast(sorted: readonly number[], wanted: number): number | undefined {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? 0) < wanted) low = middle + 1
    else high = middle
  }
  return sorted[low]
}

/** In a Kubernetes manifest, as YAML or JSON. */
const SECRET = /["']?kind["']?\s*:\s*["']?Secret\b/

/** False for placeholders: they have few different digits, or digits in order. */
function looksRandom(value: string): boolean {
  if (!/[0-9]/.test(value) || !/[a-f]/i.test(value)) return false
  // 20 random digits have fewer than 8 different ones about once in 2,000 cases.
  if (new Set(value).size < 8) return false
  return !/0123456|1234567|abcdef|fedcba|7654321|deadbeef|cafebabe|(.)\1{5}/i.test(value)
}

/** A table with 1 at the index of each byte that is in the set. */
function byteSet(characters: string): Uint8Array {
  const set = new Uint8Array(256)
  for (const byte of Buffer.from(characters, 'latin1')) set[byte] = 1
  return set
}

/**
 * Calls back for each run of at least `minLength` bytes of the set that is not part of a longer word. Such a run
 * contains a byte at a multiple of `minLength`, so only those bytes are examined.
 */
function eachRun(
  buffer: Buffer,
  set: Uint8Array,
  minLength: number,
  from: number,
  onRun: (start: number, end: number) => void
): void {
  const { length } = buffer
  let at = from + minLength - 1
  while (at < length) {
    if (set[buffer[at] ?? 0] !== 1) {
      at += minLength
      continue
    }
    let start = at
    while (start > from && set[buffer[start - 1] ?? 0] === 1) start--
    let end = at + 1
    while (end < length && set[buffer[end] ?? 0] === 1) end++
    const isWhole = !isWordByte(buffer[start - 1]) && !isWordByte(buffer[end])
    if (end - start >= minLength && isWhole) onRun(start, end)
    at = end + minLength
  }
}
