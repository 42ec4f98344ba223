// Tested by test/cli/consumers/dead-letters.slow.test.ts.
import { type DeadLetter, deadLetters } from '../../group/dead-letters.ts'
import { isEntryId } from '../../log/position.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { ConsumerSettings } from '../../settings/consumers-file.ts'
import { ActionError } from '../action-error.ts'
import { chosenLetters, countChosen, type LetterChoice, type LetterFilter } from './choose-letters.ts'
import { ofExistingGroup } from './find-consumer.ts'
import { type LetterPage, letterPage } from './letter-page.ts'
import { countByReason } from './letter-reasons.ts'
import { removedConsumers } from './removed-consumers.ts'
import { type Replayed, type ReplayOptions, replayChosen } from './replay-letters.ts'

export interface Dropped {
  readonly dropped: number
  /** Ids that no dead letter has. */
  readonly unknown: readonly string[]
  /** It ended before the last of the chosen dead letters, because of `signal`. */
  readonly interrupted: boolean
}

interface LetterContext {
  readonly redis: RedisClient
  readonly keyPrefix: string
  /** Of `CONSUMERS_FILE`. */
  settingsOf(name: string): ConsumerSettings | undefined
  /** @throws ActionError if there is neither such a consumer nor a dead letter of it */
  requireKnown(name: string): Promise<unknown>
  openBlocking(): RedisClient
}

/** What an operator can do with dead letters: the part of `consumerActions` for them. */
export function letterActions({ redis, keyPrefix, settingsOf, requireKnown, openBlocking }: LetterContext) {
  const letters = deadLetters(redis, keyPrefix)
  const removed = removedConsumers(redis, keyPrefix)

  return {
    /** Oldest first. */
    deadLetters: async (
      name: string,
      filter: LetterFilter,
      count: number
    ): Promise<readonly DeadLetter[]> => {
      await requireKnown(name)
      const found: DeadLetter[] = []
      for await (const page of chosenLetters(letters, name, filter)) {
        found.push(...page.letters)
        if (found.length >= count) break
      }
      return found.slice(0, count)
    },
    /** A page of its dead letters, oldest first. */
    letterPage: async (name: string, filter: LetterFilter): Promise<LetterPage> => {
      await requireKnown(name)
      return letterPage(letters, name, filter)
    },
    /** @throws ActionError also if it has no such dead letter */
    deadLetter: async (name: string, letter: string): Promise<DeadLetter> => {
      const found = isEntryId(letter) ? await letters.get(name, letter) : undefined
      if (found !== undefined) return found
      throw new ActionError(
        'unknown',
        `${name} has no dead letter ${letter}: it was replayed, dropped or trimmed`
      )
    },
    deadByReason: (name: string) => countByReason(redis, keyPrefix, name),
    /** Number of its dead letters, or of the chosen ones. With a filter, it reads all of them. */
    countLetters: async (name: string, choice: LetterChoice = {}): Promise<number> => {
      await requireKnown(name)
      return countChosen(letters, name, choice)
    },
    /** Processes dead letters again. Replayed ones are removed. */
    replay: async (name: string, choice: LetterChoice, options: ReplayOptions = {}): Promise<Replayed> => {
      await requireKnown(name)
      const context = { redis, keyPrefix, consumer: name, settings: settingsOf(name), openBlocking }
      const chosen = chosenLetters(letters, name, choice)
      return ofExistingGroup(name, replayChosen(context, chosen, options))
    },
    drop: async (
      name: string,
      choice: LetterChoice,
      { signal, onProgress = () => {} }: Pick<ReplayOptions, 'signal' | 'onProgress'> = {}
    ): Promise<Dropped> => {
      await requireKnown(name)
      let dropped = 0
      const unknown: string[] = []
      let interrupted = false
      for await (const page of chosenLetters(letters, name, choice)) {
        interrupted = signal?.aborted === true
        if (interrupted) break
        unknown.push(...page.unknown)
        const ids = page.letters.map(({ letter }) => letter)
        dropped += await letters.drop(name, ids)
        onProgress(dropped)
      }
      if ((await letters.count(name)) === 0) await removed.forget(name)
      return { dropped, unknown, interrupted }
    }
  }
}
