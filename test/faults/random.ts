import { createHash } from 'node:crypto'

/** Chances that come out the same again for the same seed and name. */
export interface Random {
  /** From `from` up to, but without, `to`. */
  between(from: number, to: number): number
  whole(from: number, to: number): number
  pick<T>(choices: readonly T[]): T
  chance(probability: number): boolean
  /** Lower-case letters: what no rule of any policy takes for something personal. */
  word(length: number): string
}

/** @param name what the chances are for: two users of one seed do not disturb each other */
export function seededRandom(seed: number, name: string): Random {
  let state = createHash('sha256').update(`${seed}:${name}`).digest().readUInt32BE(0)
  // mulberry32: 32 bits of state are plenty to choose faults with.
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (from: number, to: number): number => from + next() * (to - from)
  const whole = (from: number, to: number): number => Math.floor(between(from, to))
  return {
    between,
    whole,
    pick: <T>(choices: readonly T[]): T => {
      if (choices.length === 0) throw new RangeError('nothing to pick from')
      return choices[whole(0, choices.length)] as T
    },
    chance: probability => next() < probability,
    word: length => Array.from({ length }, () => String.fromCharCode(97 + whole(0, 26))).join('')
  }
}
