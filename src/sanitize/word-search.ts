import { DIGIT, isBeyondAsciiWord, LETTER } from './characters.ts'

/** A word (letters and digits of any script) or one character between words, as it is read: lower case, decoded. */
export type Piece = {
  readonly text: string
  readonly isWord: boolean
  readonly start: number
  readonly end: number
}
/** `text.slice(start, end)` is to be replaced by `label`. */
export type Match = { readonly start: number; readonly end: number; readonly label: string }

/** An escape of one character, in a URL, in JSON or a string literal, in HTML. */
const escaped =
  /%(?:25){0,8}([0-9a-f]{2})|\\{1,8}(?:u([0-9a-f]{4})|([nrtbf]))|&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|[a-z]{1,8});/iy

const isWordCharacter = (text: string, index: number): boolean => {
  const code = text.charCodeAt(index)
  return code < 0x80 ? DIGIT[code] === 1 || LETTER[code] === 1 : isBeyondAsciiWord(text, index)
}

/** Splits a text into pieces. An escape is one piece, so it neither hides a word nor is torn apart. */
export function readPieces(text: string): Piece[] {
  // The one letter whose lower case is longer than itself would move all that follows.
  const lower = text.replaceAll('\u0130', 'i').toLowerCase()
  const pieces: Piece[] = []
  for (let start = 0; start < lower.length; ) {
    let end = start
    while (end < lower.length && isWordCharacter(lower, end)) end++
    if (end > start) pieces.push({ text: lower.slice(start, end), isWord: true, start, end })
    else {
      const character = lower.charAt(start)
      const found =
        character === '%' || character === '\\' || character === '&' ? escapeAt(lower, start) : undefined
      end = found?.end ?? start + 1
      pieces.push({ text: found?.text ?? character, isWord: false, start, end })
    }
    start = end
  }
  return pieces
}

function escapeAt(text: string, index: number): { text: string; end: number } | undefined {
  escaped.lastIndex = index
  const found = escaped.exec(text)
  if (found === null) return undefined
  const [, percent, unicode, , hex, decimal] = found
  const code =
    decimal === undefined ? Number.parseInt(percent ?? unicode ?? hex ?? '20', 16) : Number(decimal)
  return { text: code <= 0x10ffff ? String.fromCodePoint(code) : ' ', end: escaped.lastIndex }
}

/** A state stands for the beginning of some of the patterns. */
type State = {
  /** Pieces read so far. */
  readonly depth: number
  readonly parent: number
  readonly piece: number
  /** The state of the longest proper ending of what was read. */
  fallback: number
  /** Pieces and label of the longest pattern that ends here. */
  matched: number
  label: string
}

/** More than there are different pieces in a body of 5 MiB. */
const MAX_PIECES = 2 ** 23

/**
 * Finds any number of texts in another one, as whole words, in one pass (Aho and Corasick 1975, with pieces as
 * letters): the time does not depend on how many there are.
 */
export class WordSearch {
  readonly #pieces = new Map<string, number>()
  readonly #next = new Map<number, number>()
  readonly #states: State[] = [{ depth: 0, parent: 0, piece: 0, fallback: 0, matched: 0, label: '' }]
  #isComplete = true

  get isEmpty(): boolean {
    return this.#states.length === 1
  }

  add(pattern: string, label: string): void {
    let state = 0
    for (const { text } of readPieces(pattern)) {
      const piece = this.#pieces.get(text) ?? this.#pieces.size + 1
      this.#pieces.set(text, piece)
      const key = state * MAX_PIECES + piece
      let next = this.#next.get(key)
      if (next === undefined) {
        next = this.#states.length
        const depth = (this.#states[state]?.depth ?? 0) + 1
        this.#states.push({ depth, parent: state, piece, fallback: 0, matched: 0, label: '' })
        this.#next.set(key, next)
      }
      state = next
    }
    const end = this.#states[state]
    if (end === undefined || state === 0) return
    end.matched = end.depth
    end.label = label
    this.#isComplete = false
  }

  /** In the order of the text, none inside or across another. */
  find(pieces: readonly Piece[]): Match[] {
    if (!this.#isComplete) this.#complete()
    const found: Match[] = []
    let state = 0
    for (const [index, { text, end }] of pieces.entries()) {
      const piece = this.#pieces.get(text)
      state = piece === undefined ? 0 : this.#step(state, piece)
      const { matched, label } = this.#states[state] ?? { matched: 0, label: '' }
      if (matched === 0) continue
      let start = pieces[index - matched + 1]?.start ?? end
      for (let last = found.at(-1); last !== undefined && last.end > start; last = found.at(-1)) {
        start = Math.min(start, last.start)
        found.pop()
      }
      found.push({ start, end, label })
    }
    return found
  }

  #step(from: number, piece: number): number {
    for (let state = from; ; state = this.#states[state]?.fallback ?? 0) {
      const next = this.#next.get(state * MAX_PIECES + piece)
      if (next !== undefined) return next
      if (state === 0) return 0
    }
  }

  /** Fallbacks of shallow states first: those of the deeper ones are made of them. */
  #complete(): void {
    for (const state of this.#states.toSorted((a, b) => a.depth - b.depth)) {
      if (state.depth > 1) {
        const above = this.#states[state.parent]?.fallback ?? 0
        state.fallback = this.#step(above, state.piece)
      }
      const shorter = this.#states[state.fallback]
      if (state.matched === 0 && shorter !== undefined) {
        state.matched = shorter.matched
        state.label = shorter.label
      }
    }
    this.#isComplete = true
  }
}
