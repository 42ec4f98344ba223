import type { NamedSecret } from './configured-secrets.ts'
import { type Encoding, encodingsOf } from './encodings.ts'
import { findKeyShapes, SHAPE_CONTEXT_BYTES, type ShapeMatch, type TextMemory } from './key-shapes.ts'
import { keyFingerprint, mask, passwordFingerprint } from './mask.ts'
import { compilePatterns, type PatternMatch } from './pattern-search.ts'
import type { Certainty, RuleId } from './rules.ts'

/** What was found, without the value itself. */
export interface Leak {
  readonly rule: RuleId
  readonly certainty: Certainty
  /** Which configured secret, by the names of its variables; `undefined` where a shape was found. */
  readonly secret: string | undefined
  readonly encoding: Encoding
  readonly masked: string
  /** Tells the value from others, and survives in a baseline. */
  readonly fingerprint: string
}

export interface LeakAt {
  readonly start: number
  readonly end: number
  readonly leak: Leak
}

/** Knows what is looked for; knows nothing of files. */
export interface Detector {
  /** Bytes before and behind a region that have to be in the buffer too, or a leak there is overlooked. */
  readonly marginBytes: number
  /** The leaks that start in [from, limit), by where they start. */
  readonly detect: (buffer: Buffer, from: number, limit: number, memory?: TextMemory) => readonly LeakAt[]
}

interface Wanted {
  readonly secret: NamedSecret
  readonly encoding: Encoding
}

/** A shorter password may be an everyday word: inside a longer one it is not meant. */
const WORD_BELOW_CHARACTERS = 12
/** Wrapped texts have lines of 64 or 76 characters: a shorter value in one that is wrapped would be a coincidence. */
const WRAPS_FROM_BYTES = 20

export function createDetector(secrets: readonly NamedSecret[]): Detector {
  const patterns = secrets.flatMap(secret => {
    const value = secret.secret.reveal()
    return encodingsOf(value).map(({ encoding, bytes }) => ({
      bytes,
      wraps: bytes.length >= WRAPS_FROM_BYTES && encoding !== 'utf16',
      isWord: encoding === 'plain' && value.length < WORD_BELOW_CHARACTERS,
      tag: { secret, encoding }
    }))
  })
  const search = compilePatterns<Wanted>(patterns)
  const described = new Map<NamedSecret, Pick<Leak, 'masked' | 'fingerprint'>>()

  return {
    marginBytes: Math.max(search.longest, SHAPE_CONTEXT_BYTES),
    detect: (buffer, from, limit, memory) => {
      const matches: PatternMatch<Wanted>[] = []
      search.find(buffer, from, limit, match => matches.push(match))
      const known = withoutRepetition(matches)
      const starts = new Set(known.map(({ start }) => start))
      const leaks: LeakAt[] = known.map(({ start, end, tag }) => ({
        start,
        end,
        leak: configured(tag)
      }))
      const addShape = ({ start, end, value, ...found }: ShapeMatch): void => {
        if (starts.has(start) || known.some(match => match.start < end && start < match.end)) return
        const fingerprint = keyFingerprint(found.rule, value)
        leaks.push({ start, end, leak: { ...found, secret: undefined, masked: mask(value), fingerprint } })
      }
      findKeyShapes(buffer, from, limit, addShape, memory)
      return leaks.sort((a, b) => a.start - b.start)
    }
  }

  function configured({ secret, encoding }: Wanted): Leak {
    let description = described.get(secret)
    if (description === undefined) {
      const value = secret.secret.reveal()
      description = { masked: mask(value), fingerprint: passwordFingerprint(value) }
      described.set(secret, description)
    }
    return { rule: 'configured-value', certainty: 'certain', secret: secret.name, encoding, ...description }
  }
}

/** A text that may be shown: what is looked for is masked in it. */
export function redactKnown(detector: Detector, text: string): string {
  const buffer = Buffer.from(text, 'utf8')
  let shown = ''
  let shownTo = 0
  for (const { start, end, leak } of detector.detect(buffer, 0, buffer.length)) {
    if (start < shownTo) continue
    shown += buffer.toString('utf8', shownTo, start) + leak.masked
    shownTo = end
  }
  return shown + buffer.toString('utf8', shownTo)
}

/** One match a place and secret: several windows of one pattern, or several of its forms, may have met there. */
function withoutRepetition(matches: readonly PatternMatch<Wanted>[]): readonly PatternMatch<Wanted>[] {
  if (matches.length < 2) return matches
  const kept: PatternMatch<Wanted>[] = []
  const endBySecret = new Map<NamedSecret, number>()
  for (const match of matches.toSorted((a, b) => a.start - b.start || b.end - a.end)) {
    const { start, end, tag } = match
    if (start < (endBySecret.get(tag.secret) ?? 0)) continue
    endBySecret.set(tag.secret, end)
    kept.push(match)
  }
  return kept
}
