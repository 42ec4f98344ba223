// Tested by test/cli/consumers/dead-letters.slow.test.ts.
import { pause } from '../../async/backoff.ts'
import { type ReplayedLetters, replayLetters } from '../../dispatch/replay.ts'
import type { DeadLetter } from '../../group/dead-letters.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { ConsumerSettings } from '../../settings/consumers-file.ts'

export interface ReplayOptions {
  /** At most so many events per second; `undefined`: as fast as possible. */
  readonly ratePerSecond?: number | undefined
  /** Ends the replay after the current events. Replayed dead letters are removed, so a second call continues. */
  readonly signal?: AbortSignal
  /** Called with the number of dead letters that were handled. */
  readonly onProgress?: (handled: number) => void
}

export interface Replayed extends ReplayedLetters {
  /** Ids that no dead letter has. */
  readonly unknown: readonly string[]
  /** It ended before the last of the chosen dead letters, because of `signal`. */
  readonly interrupted: boolean
}

interface ReplayContext {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly consumer: string
  readonly settings: ConsumerSettings | undefined
  openBlocking(): RedisClient
}

/** Parts of a second in which a rate is spread. */
const CHUNKS_PER_SECOND = 10

/** Replays pages of dead letters. @throws the error of Redis */
export async function replayChosen(
  { openBlocking, ...context }: ReplayContext,
  pages: AsyncIterable<{ readonly letters: readonly DeadLetter[]; readonly unknown: readonly string[] }>,
  { ratePerSecond, signal = new AbortController().signal, onProgress = () => {} }: ReplayOptions
): Promise<Replayed> {
  const { settings, keyPrefix } = context
  // Loaded here because it needs BullMQ and the clients of the brokers, which the other actions do not need.
  const { openDirectPublisher } = await import('../../dispatch/direct-publish.ts')
  const publisher = settings && openDirectPublisher(settings, openBlocking, keyPrefix)
  const left: ReplayedLetters['left'][number][] = []
  const unknown: string[] = []
  let [replayed, notWanted] = [0, 0]
  const done = (interrupted: boolean): Replayed => ({ replayed, left, notWanted, unknown, interrupted })
  try {
    for await (const page of pages) {
      unknown.push(...page.unknown)
      for (const chunk of chunksOf(page.letters, ratePerSecond)) {
        if (signal.aborted) return done(true)
        const dueMs = performance.now() + (ratePerSecond ? (chunk.length * 1000) / ratePerSecond : 0)
        const part = await replayLetters({ ...context, publish: publisher?.publish }, chunk)
        replayed += part.replayed
        notWanted += part.notWanted
        left.push(...part.left)
        onProgress(replayed + left.length)
        const waitMs = dueMs - performance.now()
        if (waitMs > 0) await pause(waitMs, signal)
      }
    }
    return done(false)
  } finally {
    await publisher?.close()
  }
}

function* chunksOf<T>(items: readonly T[], ratePerSecond: number | undefined): Generator<readonly T[]> {
  const size =
    ratePerSecond === undefined
      ? Math.max(1, items.length)
      : Math.max(1, Math.floor(ratePerSecond / CHUNKS_PER_SECOND))
  for (let first = 0; first < items.length; first += size) yield items.slice(first, first + size)
}
