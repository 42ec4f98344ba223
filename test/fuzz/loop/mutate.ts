import type { Random } from '../../helpers/random.ts'
import { mutateJson } from './mutate-json.ts'

/** Format of a target's inputs. */
export interface Shape {
  /** Number of bytes before the body, which are choices. */
  readonly prefixBytes: number
  /** Is the body usually JSON? */
  readonly json: boolean
  readonly maxBytes: number
}

const MOST_STEPS = 6
const LONGEST_CHUNK = 64
const structural = [...'"{}[],: \\\n&=%@+<>.-/?#0']

/** A new input: some random changes of an input's bytes or JSON, with parts of others. */
export function mutate(
  input: Buffer,
  corpus: readonly Buffer[],
  dictionary: readonly Buffer[],
  shape: Shape,
  random: Random
): Buffer {
  let result = input
  for (let step = random.whole(1, MOST_STEPS); step > 0; step--) {
    result =
      shape.json && random.chance(0.5)
        ? inBody(result, shape, body => mutateJson(body, other(corpus, shape, random), dictionary, random))
        : mutateBytes(result, corpus, dictionary, random)
  }
  return result.subarray(0, shape.maxBytes)
}

function inBody(input: Buffer, { prefixBytes }: Shape, act: (body: Buffer) => Buffer): Buffer {
  return Buffer.concat([input.subarray(0, prefixBytes), act(input.subarray(prefixBytes))])
}

const other = (corpus: readonly Buffer[], { prefixBytes }: Shape, random: Random): Buffer =>
  corpus.length === 0 ? Buffer.alloc(0) : random.pick(corpus).subarray(prefixBytes)

function mutateBytes(
  input: Buffer,
  corpus: readonly Buffer[],
  dictionary: readonly Buffer[],
  random: Random
): Buffer {
  const at = random.whole(0, input.length + 1)
  const length = random.whole(1, Math.min(LONGEST_CHUNK, input.length + 1) + 1)
  const replaced = (by: Buffer, removed: number): Buffer =>
    Buffer.concat([input.subarray(0, at), by, input.subarray(Math.min(input.length, at + removed))])
  const chunkOf = (from: Buffer): Buffer => {
    const start = random.whole(0, from.length + 1)
    return from.subarray(start, start + length)
  }
  switch (random.whole(0, 9)) {
    case 0:
      return replaced(Buffer.of(random.whole(0, 256)), 1)
    case 1:
      return replaced(Buffer.of((input[at] ?? 0) ^ (1 << random.whole(0, 8))), 1)
    case 2:
      return replaced(Buffer.alloc(0), length)
    case 3:
      return replaced(Buffer.from(random.pick(structural)), random.whole(0, 2))
    case 4:
      return replaced(chunkOf(input), random.whole(0, 2) * length)
    case 5:
      return replaced(
        corpus.length === 0 ? Buffer.alloc(0) : chunkOf(random.pick(corpus)),
        random.whole(0, 2) * length
      )
    case 6: {
      const tail = corpus.length === 0 ? input : random.pick(corpus)
      return Buffer.concat([input.subarray(0, at), tail.subarray(random.whole(0, tail.length + 1))])
    }
    default: {
      const word = random.pick(dictionary)
      return replaced(word, random.chance(0.3) ? word.length : 0)
    }
  }
}
