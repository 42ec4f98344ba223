// Tested by test/cli/events/replay.slow.test.ts and test/console/api.slow.test.ts.
import { ActionError } from '../action-error.ts'
import { type EventPath, eventPath } from './event-path.ts'
import { type SendAgainOptions, sendAgain } from './send-again.ts'

export interface SentAgain {
  readonly replayed: number
  /** Events that the consumer did not get again, and why. */
  readonly left: readonly { readonly id: string; readonly why: string }[]
  /** How many of these the consumer does not want: its `types`, or `backfilled`, leave them out. */
  readonly notWanted: number
  /** Ids that were not found, as given. */
  readonly unknown: readonly string[]
}

interface SendIdsOptions extends SendAgainOptions {
  readonly dedupeWindowMs: number
  /** Ends the search for all ids together. What was not found until then is unknown. */
  readonly budgetMs?: number
}

/**
 * Gives one consumer single events again, wherever they are in the log. A dead letter of the consumer is replayed, so
 * that it is no longer a dead letter. An id that was appended several times is sent once, from its newest position; if
 * two sources have it, these are two events.
 *
 * @param ids as `eventPath` takes them
 * @throws ActionError if there is no such consumer, and the error of Redis
 */
export async function sendIdsAgain(
  { budgetMs = Number.POSITIVE_INFINITY, ...options }: SendIdsOptions,
  consumer: string,
  ids: readonly string[]
): Promise<SentAgain> {
  const endsAtMs = performance.now() + budgetMs
  const left: { id: string; why: string }[] = []
  const unknown: string[] = []
  let [replayed, notWanted] = [0, 0]
  for (const id of new Set(ids)) {
    const leftMs = Math.max(0, endsAtMs - performance.now())
    const paths = newestOfEachSource(await eventPath(options, id, { budgetMs: leftMs }))
    if (paths.length === 0) unknown.push(id)
    for (const path of paths) {
      try {
        await sendAgain(options, path, consumer)
        replayed++
      } catch (error) {
        if (!(error instanceof ActionError) || error.refusal === 'unknown') throw error
        left.push({ id, why: error.message })
        if (path.consumers.some(one => one.consumer === consumer && one.state === 'not_wanted')) notWanted++
      }
    }
  }
  return { replayed, left, notWanted, unknown }
}

/** @param paths newest first */
const newestOfEachSource = (paths: readonly EventPath[]): readonly EventPath[] =>
  paths.filter((path, index) => paths.findIndex(({ source }) => source === path.source) === index)
