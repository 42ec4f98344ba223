// Tested by test/cli/consumers/dead-letters.slow.test.ts.
import { rejectOnAbort } from '../async/abort.ts'
import type { OutgoingEvent } from '../group/outgoing-event.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { ConsumerSettings } from '../settings/consumers-file.ts'
import { createSink } from './create-sink.ts'
import { openPushQueue } from './http/push-queue.ts'
import type { Refused, Sink } from './sink.ts'

/** Delivers single events to a push consumer without the log. */
interface DirectPublisher {
  /** @throws Error whose message, in words for the operator, says why the consumer did not get the event */
  publish(event: OutgoingEvent): Promise<void>
  close(): Promise<void>
}

const PUBLISH_TIMEOUT_MS = 10_000

/** @param openQueueRedis opens a connection with the profile `blocking`, which the caller closes */
export function openDirectPublisher(
  settings: ConsumerSettings,
  openQueueRedis: () => RedisClient,
  keyPrefix: string
): DirectPublisher {
  const sink = openSink(settings, openQueueRedis, keyPrefix)
  let hasTimedOut = false
  return {
    publish: async event => {
      const limit = AbortSignal.timeout(PUBLISH_TIMEOUT_MS)
      let refused: Refused | undefined
      try {
        // There may be thousands of dead letters: do not wait for each of them.
        if (hasTimedOut) throw new Error('an earlier event timed out')
        refused = (await sink.publish([event], limit))[0]
      } catch (cause) {
        hasTimedOut ||= limit.aborted
        throw new Error('it is no longer in the log, and could not be sent to the consumer', { cause })
      }
      if (refused !== undefined) throw new Error(refused.reason)
    },
    close: () => sink.close()
  }
}

/** A sink without the log. HTTP events go to the push queue, which the workers of the service send. */
function openSink(
  settings: ConsumerSettings,
  openQueueRedis: () => RedisClient,
  keyPrefix: string
): Pick<Sink, 'publish' | 'close'> {
  if (settings.type !== 'http') return createSink(settings)
  const { add, queue } = openPushQueue(openQueueRedis(), keyPrefix, settings)
  return {
    publish: async (events, signal) => {
      const added = Promise.all(events.map(event => add({ event, delayMs: 0 }, signal)))
      await rejectOnAbort(signal, added)
      return []
    },
    close: () => queue.close()
  }
}
