import { checksumSections, type SectionMemory } from './checksums.ts'
import { type ImportedClients, importedClients } from './client-calls.ts'
import type { Encoding } from './encodings.ts'
import { CONTEXT_BYTES, classify, isAboutProvider, MENTION } from './key-context.ts'
import { isWordByte } from './pattern-search.ts'
import type { Certainty, RuleId } from './rules.ts'

/** A text that looks like a key of Customer.io in a place where one would stand. */
export interface ShapeMatch {
  readonly start: number
  readonly end: number
  readonly rule: RuleId
  readonly certainty: Certainty
  readonly encoding: Extract<Encoding, 'plain' | 'base64'>
  /** The key itself, in the case in which Customer.io writes it. */
  readonly value: string
}

/** What is remembered of the regions of a text that came before. */
export interface TextMemory extends SectionMemory {
  clients?: ImportedClients | undefined
}

const hexDigits = byteSet('0123456789abcdefABCDEF')
const base64Characters = byteSet('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')

const KEY_LENGTHS = new Set([20, 32, 64])
const SHORTEST_KEY = 20
const HEX_KEY = /^(?:[0-9a-f]+|[0-9A-F]+)$/
const LOGIN = /^[0-9a-f]{20}:[0-9a-f]{20}$/i
/** The base64 of the shortest key, less its padding, and of the longest, with the line break of `echo`. */
const SHORTEST_BASE64 = 27
const LONGEST_BASE64 = 88
/** How base64 of hexadecimal digits begins: MNO for 0-9, YZ for a-f, QR for A-F. */
const hexInBase64 = byteSet('MNOYZQR')
/** A Secret of Kubernetes is at most 1 MiB. */
const LONGEST_FILE_BASE64 = 1.5 * 1024 * 1024
/** Bytes around a match that are looked at. */
export const SHAPE_CONTEXT_BYTES = CONTEXT_BYTES

/** Matches that start in [from, limit), told by what stands around them in the buffer. */
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

  /** A file in a Secret of Kubernetes: an .env, a JSON. Its keys may say whose they are, or the Secret does. */
  function findInFile(start: number, end: number): void {
    const { left, right } = textAround(start, end)
    const file = Buffer.from(buffer.toString('latin1', start, end), 'base64')
    const named = isAboutProvider(left, right) ? underHeading('customerio:', file) : file
    findKeyShapes(named, 0, named.length, found => onMatch({ ...found, start, end, encoding: 'base64' }))
  }
}

const underHeading = (heading: string, file: Buffer): Buffer =>
  Buffer.from(`${heading}\n${file.toString('latin1').replace(/^/gm, ' ')}`, 'latin1')

/** To be called when a text goes on: what it imports counts for the rest of it too. */
export function rememberClients(buffer: Buffer, memory: TextMemory): void {
  memory.clients = regionOf(buffer, memory).clients()
}

/** What is found out about a region once, and only if something in it looks like a key. */
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
    /** Only then is it worth looking closer. A text that imports the library mentions it by that. */
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

/** A manifest of Kubernetes, as YAML or JSON. */
const SECRET = /["']?kind["']?\s*:\s*["']?Secret\b/

/** What people make up to stand for a key has few different digits, or has them in order. */
function looksRandom(value: string): boolean {
  if (!/[0-9]/.test(value) || !/[a-f]/i.test(value)) return false
  // 20 random digits have fewer than 8 different ones about once in 2,000 cases.
  if (new Set(value).size < 8) return false
  return !/0123456|1234567|abcdef|fedcba|7654321|deadbeef|cafebabe|(.)\1{5}/i.test(value)
}

/** Which bytes make up a run: 1 at the bytes that do. */
export type ByteSet = Uint8Array

export function byteSet(characters: string): ByteSet {
  const set = new Uint8Array(256)
  for (const byte of Buffer.from(characters, 'latin1')) set[byte] = 1
  return set
}

/**
 * Calls back for each run of at least `minLength` bytes of the set that is not a part of a longer word. A run that
 * long covers every `minLength`-th byte, so only those are looked at.
 */
export function eachRun(
  buffer: Buffer,
  set: ByteSet,
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
