import { createHash } from 'node:crypto'

/** Random choices, the same for the same seed and name. */
export interface Random {
  /** At least `from`, less than `to`. */
  between(from: number, to: number): number
  /** An integer, at least `from`, less than `to`. */
  whole(from: number, to: number): number
  pick<T>(choices: readonly T[]): T
  chance(probability: number): boolean
  /** Lower-case letters, which no policy masks. */
  word(length: number): string
}

/** @param name of the user of the choices: users with different names get different choices from one seed */
export function seededRandom(seed: number, name: string): Random {
  let state = createHash('sha256').update(`${seed}:${name}`).digest().readUInt32BE(0)
  // mulberry32: 32 bits of state are enough to choose faults.
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
