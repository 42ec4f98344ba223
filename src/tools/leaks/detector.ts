import type { NamedSecret } from './configured-secrets.ts'
import { type Encoding, encodingsOf } from './encodings.ts'
import { CONTEXT_BYTES } from './key-context.ts'
import { findKeyShapes, type TextMemory } from './key-shapes.ts'
import { keyFingerprint, mask, passwordFingerprint } from './mask.ts'
import { compilePatterns, type PatternMatch } from './pattern-search.ts'
import type { Certainty, RuleId } from './rules.ts'

/** What was found, without the value itself. */
export interface Leak {
  readonly rule: RuleId
  readonly certainty: Certainty
  /** The variables of the configured secret; `undefined` for a key found by its shape. */
  readonly secret: string | undefined
  readonly encoding: Encoding
  readonly masked: string
  /** Distinguishes values, and may be published: see mask.ts. */
  readonly fingerprint: string
}

interface LeakAt {
  readonly start: number
  readonly end: number
  readonly leak: Leak
}

/** Finds leaks in a buffer, wherever its bytes come from. */
export interface Detector {
  /** Bytes before and after a region that must be in the buffer too, otherwise leaks are missed. */
  readonly marginBytes: number
  /** The leaks that start in [from, limit), ordered by their start. */
  readonly detect: (buffer: Buffer, from: number, limit: number, memory?: TextMemory) => readonly LeakAt[]
}

interface Wanted {
  readonly secret: NamedSecret
  readonly encoding: Encoding
}

/** A shorter password may be a common word: it does not count inside a longer word. */
const WORD_BELOW_CHARACTERS = 12
/** Wrapped texts have lines of 64 or 76 characters. Shorter values are not searched for across line breaks. */
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
  const descriptions = new Map<NamedSecret, Pick<Leak, 'masked' | 'fingerprint'>>()

  return {
    marginBytes: Math.max(search.longest, CONTEXT_BYTES),
    detect: (buffer, from, limit, memory) => {
      const matches: PatternMatch<Wanted>[] = []
      search.find(buffer, from, limit, match => matches.push(match))
      const known = withoutRepetition(matches)
      const starts = new Set(known.map(({ start }) => start))
      const leaks: LeakAt[] = known.map(({ start, end, tag }) => ({ start, end, leak: configuredLeak(tag) }))
      findKeyShapes(
        buffer,
        from,
        limit,
        ({ start, end, value, ...found }) => {
          if (starts.has(start) || known.some(match => match.start < end && start < match.end)) return
          const fingerprint = keyFingerprint(found.rule, value)
          leaks.push({ start, end, leak: { ...found, secret: undefined, masked: mask(value), fingerprint } })
        },
        memory
      )
      return leaks.sort((a, b) => a.start - b.start)
    }
  }

  function configuredLeak({ secret, encoding }: Wanted): Leak {
    let description = descriptions.get(secret)
    if (description === undefined) {
      const value = secret.secret.reveal()
      description = { masked: mask(value), fingerprint: passwordFingerprint(value) }
      descriptions.set(secret, description)
    }
    return { rule: 'configured-value', certainty: 'certain', secret: secret.name, encoding, ...description }
  }
}

/** Masks every leak in a text, so that the text can be printed. */
export function redactKnown(detector: Detector, text: string): string {
  const buffer = Buffer.from(text, 'utf8')
  let redacted = ''
  let copiedTo = 0
  for (const { start, end, leak } of detector.detect(buffer, 0, buffer.length)) {
    if (start < copiedTo) continue
    redacted += buffer.toString('utf8', copiedTo, start) + leak.masked
    copiedTo = end
  }
  return redacted + buffer.toString('utf8', copiedTo)
}

/** One match per place and secret: several windows or encodings of a secret can match the same bytes. */
function withoutRepetition(matches: readonly PatternMatch<Wanted>[]): readonly PatternMatch<Wanted>[] {
  const endBySecret = new Map<NamedSecret, number>()
  return matches
    .toSorted((a, b) => a.start - b.start || b.end - a.end)
    .filter(({ start, end, tag }) => {
      if (start < (endBySecret.get(tag.secret) ?? 0)) return false
      endBySecret.set(tag.secret, end)
      return true
    })
}
