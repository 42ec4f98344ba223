// Tested by test/cli/events/replay.slow.test.ts.
import { ActionError } from '../../tools/action-error.ts'
import { eventPath } from '../../tools/events/event-path.ts'
import { sendAgain } from '../../tools/events/send-again.ts'
import type { OpenLog } from '../open-log.ts'

interface ReplayedById {
  readonly replayed: number
  /** Events that the consumer did not get again, and why. */
  readonly left: readonly { readonly id: string; readonly why: string }[]
  /** Ids that are not in the log, as given. */
  readonly unknown: readonly string[]
}

/**
 * Gives one consumer single events again, wherever they are in the log. A dead letter of the consumer is replayed, so
 * that it is no longer a dead letter.
 *
 * @param ids as `events show` takes them
 * @throws ActionError if there is no such consumer
 */
export async function replayById(
  { redis, config, openBlocking }: OpenLog<'dispatch'>,
  consumer: string,
  ids: readonly string[]
): Promise<ReplayedById> {
  const { keyPrefix, windowMs: dedupeWindowMs } = config.log
  const { consumers } = config.dispatch
  let replayed = 0
  const left: { id: string; why: string }[] = []
  const unknown: string[] = []
  for (const id of ids) {
    const paths = await eventPath({ redis, keyPrefix, dedupeWindowMs, consumers }, id)
    if (paths.length === 0) unknown.push(id)
    for (const path of paths) {
      try {
        await sendAgain({ redis, keyPrefix, consumers, openBlocking }, path, consumer)
        replayed++
      } catch (error) {
        if (!(error instanceof ActionError) || error.refusal === 'unknown') throw error
        left.push({ id, why: error.message })
      }
    }
  }
  return { replayed, left, unknown }
}
