// Tested by test/console/pages/events.slow.test.ts.
import { replayRange } from '../../dispatch/replay.ts'
import { deadLetters } from '../../group/dead-letters.ts'
import { formatPosition, type LogPosition, parsePosition } from '../../log/position.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { ConsumerSettings } from '../../settings/consumers-file.ts'
import { ActionError } from '../action-error.ts'
import { ofExistingGroup } from '../consumers/find-consumer.ts'
import { replayChosen } from '../consumers/replay-letters.ts'
import type { ConsumerPath } from './consumer-path.ts'
import type { EventPath } from './event-path.ts'

export interface SendAgainOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  /** Those of `CONSUMERS_FILE`. */
  readonly consumers: readonly ConsumerSettings[]
  /** Opens a further connection, for BullMQ. The caller closes it. */
  openBlocking(): RedisClient
}

/** @returns why a consumer cannot get an event again; `undefined` if it can */
export function sendAgainProblem({ state }: ConsumerPath): string | undefined {
  switch (state) {
    case 'acknowledged':
    case 'dead':
      return undefined
    case 'not_wanted':
      return 'its types, or backfilled, leave this event out'
    case 'trimmed':
      return 'the event is no longer in the log'
    case 'unread':
      return 'it has not read the event yet, and gets it anyway'
    case 'pending':
      return 'the event is with it now'
    case 'waiting':
      return 'the event is in its queue, for the next attempt'
  }
}

/**
 * Gives one consumer an event again, as `events replay` does; a dead letter as `consumers replay` does, so that it is no
 * longer a dead letter.
 *
 * @throws ActionError that says why not, and the error of Redis
 */
export async function sendAgain(
  { redis, keyPrefix, consumers, openBlocking }: SendAgainOptions,
  { position, consumers: paths }: Pick<EventPath, 'position' | 'consumers'>,
  consumer: string
): Promise<void> {
  const path = paths.find(path => path.consumer === consumer)
  if (path === undefined) throw new ActionError('unknown', `unknown consumer ${JSON.stringify(consumer)}`)
  const problem = sendAgainProblem(path)
  if (problem !== undefined) throw new ActionError('invalid', `${consumer} cannot get it again: ${problem}`)
  const settings = consumers.find(({ name }) => name === consumer)
  const letter =
    path.deadLetter && (await deadLetters(redis, keyPrefix).get(consumer, path.deadLetter.letter))
  if (letter !== undefined) {
    const context = { redis, keyPrefix, consumer, settings, openBlocking }
    const work = replayChosen(context, pageOf({ letters: [letter], unknown: [] }), {})
    const { left } = await ofExistingGroup(consumer, work)
    if (left[0] !== undefined) throw new ActionError('invalid', `not sent to ${consumer}: ${left[0].why}`)
    return
  }
  const options = { redis, keyPrefix, consumer, settings }
  const { replayed, notWanted } = await ofExistingGroup(consumer, replayRange(options, ...only(position)))
  if (replayed > 0) return
  if (notWanted > 0) {
    const why = 'it does not want this event (types and backfilled in CONSUMERS_FILE)'
    throw new ActionError('invalid', `not sent to ${consumer}: ${why}`)
  }
  throw new ActionError(
    'invalid',
    `not sent to ${consumer}: it has the event now, or it was trimmed meanwhile`
  )
}

async function* pageOf<T>(page: T): AsyncGenerator<T> {
  yield page
}

/** The range of one position, and what chooses it from the entries with this id in other partitions. */
function only(position: LogPosition): readonly [range: { from: string; to: string }, matches: Matches] {
  const { id } = parsePosition(position)
  return [{ from: id, to: id }, entry => formatPosition(entry.partition, entry.id) === position]
}

type Matches = Parameters<typeof replayRange>[2]
