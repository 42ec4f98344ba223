import { DIGIT, isBeyondAsciiWord, LETTER, SURE_PLUS } from './char-class.ts'
import { decode, plainReading, type Reading } from './decoded-text.ts'

/**
 * A text in pieces, as a reader sees it: words (letters and digits of any script) and the single characters between
 * them, decoded and in lower case. Piece `n` is `texts[n]`, from `starts[n]` to `starts[n + 1]` in the source.
 */
export type Pieces = { readonly texts: readonly string[]; readonly starts: readonly number[] }
export type Match = { readonly start: number; readonly end: number; readonly label: string }

/** These scripts have no spaces: a number or a word in Latin letters may stand right beside them. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u

const BETWEEN_WORDS = 0
const IN_WORD = 1
const IN_UNSPACED_WORD = 2

function kindAt(text: string, index: number): number {
  const code = text.charCodeAt(index)
  if (code < 0x80) return DIGIT[code] === 1 || LETTER[code] === 1 ? IN_WORD : BETWEEN_WORDS
  if (!isBeyondAsciiWord(text, index)) return BETWEEN_WORDS
  return unspaced.test(text.charAt(index)) ? IN_UNSPACED_WORD : IN_WORD
}

const surePlus = String.fromCharCode(SURE_PLUS)

/** In lower case, of the same length: the one letter whose lower case is longer than itself would move all positions after it. */
const lowerCase = (text: string): string =>
  text.replaceAll('\u0130', 'i').toLowerCase().replaceAll(surePlus, '+')

/** Splits a text into pieces. Encoded characters are read decoded, and never split. */
export function readPieces(reading: Reading): Pieces {
  const text = lowerCase(reading.text)
  const texts: string[] = []
  const starts: number[] = []
  for (let start = 0; start < text.length; ) {
    const kind = kindAt(text, start)
    let end = start + 1
    if (kind !== BETWEEN_WORDS) while (end < text.length && kindAt(text, end) === kind) end++
    starts.push(reading.start(start))
    texts.push(text.slice(start, end))
    start = end
  }
  starts.push(reading.source.length)
  return { texts, starts }
}

/** Which beginning of a pattern was read: 0 is none. */
type State = number

/** Up to this many patterns, looking for each takes less time than splitting the text. Nearly every event has no more. */
const FEW = 8

/**
 * Finds any number of texts in another one, as whole words, in one pass (Aho and Corasick 1975, with pieces as
 * letters): the time does not depend on how many there are.
 */
export class WordSearch {
  /** Pieces by number, from 1. */
  readonly #pieces = new Map<string, number>()
  // Of each state: how many pieces were read, the state before the last of them, and that piece …
  readonly #depth = [0]
  readonly #before: State[] = [0]
  readonly #piece = [0]
  // … the state after one more piece. Nearly all states have one such, the others are in maps …
  readonly #nextPiece = [0]
  readonly #next: State[] = [0]
  readonly #furtherNext = new Map<State, Map<number, State>>()
  // … the state of the longest proper ending of what was read, and the pieces and the label of the longest pattern
  // that ends here.
  readonly #fallback: State[] = [0]
  readonly #matched = [0]
  readonly #label = ['']
  /** As `lowerCase` shows them. Most searches end before the first `find`, so only that makes states of them. */
  readonly #patterns: { readonly text: string; readonly label: string }[] = []
  #patternsWithStates = 0
  #shortest = Number.POSITIVE_INFINITY
  #hasOnlyAddresses = true

  get isEmpty(): boolean {
    return this.#patterns.length === 0
  }

  /** A quick test: if false, `find` finds nothing in this decoded text. */
  mayFindIn(text: string): boolean {
    if (text.length < this.#shortest) return false
    if (this.#patterns.length > FEW) return true
    if (this.#hasOnlyAddresses && !text.includes('@')) return false
    const lower = lowerCase(text)
    return this.#patterns.some(pattern => lower.includes(pattern.text))
  }

  add(pattern: string, label: string): void {
    const text = lowerCase(decode(pattern, 'web').text)
    if (text === '') return
    this.#patterns.push({ text, label })
    this.#shortest = Math.min(this.#shortest, text.length)
    this.#hasOnlyAddresses &&= text.includes('@')
  }

  /** In the order of the text, none inside or across another. */
  find({ texts, starts }: Pieces): Match[] {
    this.#addStates()
    const found: Match[] = []
    let state: State = 0
    for (const [index, text] of texts.entries()) {
      const piece = this.#pieces.get(text)
      state = piece === undefined ? 0 : this.#step(state, piece)
      const matched = this.#matched[state] ?? 0
      if (matched === 0) continue
      const end = starts[index + 1] ?? 0
      let start = starts[index - matched + 1] ?? end
      for (let last = found.at(-1); last !== undefined && last.end > start; last = found.at(-1)) {
        start = Math.min(start, last.start)
        found.pop()
      }
      found.push({ start, end, label: this.#label[state] ?? '' })
    }
    return found
  }

  #addStates(): void {
    if (this.#patternsWithStates === this.#patterns.length) return
    for (const { text, label } of this.#patterns.slice(this.#patternsWithStates)) {
      let state: State = 0
      for (const word of readPieces(plainReading(text)).texts) {
        const piece = this.#pieces.get(word) ?? this.#pieces.size + 1
        this.#pieces.set(word, piece)
        state = this.#after(state, piece) ?? this.#addState(state, piece)
      }
      this.#matched[state] = this.#depth[state] ?? 0
      this.#label[state] = label
    }
    this.#patternsWithStates = this.#patterns.length
    this.#addFallbacks()
  }

  #addState(before: State, piece: number): State {
    const state = this.#depth.length
    this.#depth.push((this.#depth[before] ?? 0) + 1)
    this.#before.push(before)
    this.#piece.push(piece)
    this.#nextPiece.push(0)
    this.#next.push(0)
    this.#fallback.push(0)
    this.#matched.push(0)
    this.#label.push('')
    if (this.#nextPiece[before] === 0) {
      this.#nextPiece[before] = piece
      this.#next[before] = state
    } else {
      const further = this.#furtherNext.get(before) ?? new Map<number, State>()
      this.#furtherNext.set(before, further.set(piece, state))
    }
    return state
  }

  #after(state: State, piece: number): State | undefined {
    if (this.#nextPiece[state] === piece) return this.#next[state]
    return this.#furtherNext.get(state)?.get(piece)
  }

  #step(from: State, piece: number): State {
    for (let state = from; ; state = this.#fallback[state] ?? 0) {
      const next = this.#after(state, piece)
      if (next !== undefined) return next
      if (state === 0) return 0
    }
  }

  /** Fallbacks of shallow states first: those of the deeper ones are made of them. */
  #addFallbacks(): void {
    const byDepth: State[][] = []
    for (const [state, depth] of this.#depth.entries()) {
      const sameDepth = byDepth[depth]
      if (sameDepth === undefined) byDepth[depth] = [state]
      else sameDepth.push(state)
    }
    for (const state of byDepth.slice(2).flat()) {
      const fallback = this.#step(this.#fallback[this.#before[state] ?? 0] ?? 0, this.#piece[state] ?? 0)
      this.#fallback[state] = fallback
      if (this.#matched[state] !== 0) continue
      this.#matched[state] = this.#matched[fallback] ?? 0
      this.#label[state] = this.#label[fallback] ?? ''
    }
  }
}
