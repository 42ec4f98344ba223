import { rejectOnAbort } from '../async/reject-on-abort.ts'
import type { OutgoingEvent } from '../group/outgoing-event.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { ConsumerSettings } from '../settings/consumers-file.ts'
import { createAmqpSink } from './sinks/amqp.ts'
import { createNatsSink } from './sinks/nats.ts'
import { openPushQueue } from './sinks/push-queue.ts'

export interface DirectPublish {
  /** @throws Error that says, in words to be shown, why the consumer has not got it */
  readonly handOn: ((event: OutgoingEvent) => Promise<void>) | undefined
  readonly close: () => Promise<void>
}

/** @returns why the event is refused, if it is */
type Publish = (event: OutgoingEvent, signal: AbortSignal) => Promise<string | undefined>

const HAND_ON_TIMEOUT_MS = 10_000

/** Hands single events to a consumer past the log. Only those of `CONSUMERS_FILE` can be reached so. */
export function handOnTo(
  settings: ConsumerSettings | undefined,
  patient: () => RedisClient,
  keyPrefix: string
): DirectPublish {
  if (settings === undefined) return { handOn: undefined, close: async () => {} }
  if (settings.type === 'http') {
    const { name: consumer, maxAttempts: attempts, backlog, backlogBytes } = settings
    const redis = patient()
    const { add, queue } = openPushQueue({ redis, keyPrefix, consumer, attempts, backlog, backlogBytes })
    return {
      handOn: inTime(async (event, signal) => {
        await rejectOnAbort(signal, add([event], signal))
        return undefined
      }),
      close: () => queue.close()
    }
  }
  const sink = settings.type === 'nats' ? createNatsSink(settings) : createAmqpSink(settings)
  return {
    handOn: inTime(async (event, signal) => {
      const [refused] = await sink.publish([event], signal)
      return refused?.reason
    }),
    close: () => sink.close()
  }
}

/** Whoever did not answer in time once is not waited for again: there may be thousands of letters. */
function inTime(publish: Publish): (event: OutgoingEvent) => Promise<void> {
  let silent = false
  return async event => {
    const limit = AbortSignal.timeout(HAND_ON_TIMEOUT_MS)
    let refusal: string | undefined
    try {
      if (silent) throw new Error('silent before')
      refusal = await publish(event, limit)
    } catch (cause) {
      silent ||= limit.aborted
      throw new Error('it is no longer in the log, and could not be handed on', { cause })
    }
    if (refusal !== undefined) throw new Error(refusal)
  }
}
