// Tested by test/cli/consumers/command.slow.test.ts.
import { rejectOnAbort } from '../async/abort.ts'
import type { OutgoingEvent } from '../group/outgoing-event.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { ConsumerSettings } from '../settings/consumers-file.ts'
import { createAmqpSink } from './sinks/amqp.ts'
import { createNatsSink } from './sinks/nats.ts'
import { openPushQueue } from './sinks/push-queue.ts'

/** Delivers single events to a push consumer without the log. */
export interface DirectPublisher {
  /** @throws Error whose message, in words for the operator, says why the consumer did not get the event */
  publish(event: OutgoingEvent): Promise<void>
  close(): Promise<void>
}

const PUBLISH_TIMEOUT_MS = 10_000

/** @param openQueueRedis opens a connection in the `patient` manner, which the caller closes */
export function openDirectPublisher(
  settings: ConsumerSettings,
  openQueueRedis: () => RedisClient,
  keyPrefix: string
): DirectPublisher {
  const { send, close } = openTarget(settings, openQueueRedis, keyPrefix)
  let hasTimedOut = false
  return {
    publish: async event => {
      const limit = AbortSignal.timeout(PUBLISH_TIMEOUT_MS)
      let refusal: string | undefined
      try {
        // There may be thousands of dead letters: do not wait for each of them.
        if (hasTimedOut) throw new Error('an earlier event timed out')
        refusal = await send(event, limit)
      } catch (cause) {
        hasTimedOut ||= limit.aborted
        throw new Error('it is no longer in the log, and could not be sent to the consumer', { cause })
      }
      if (refusal !== undefined) throw new Error(refusal)
    },
    close
  }
}

interface Target {
  /** @returns why the event is refused, if it is */
  readonly send: (event: OutgoingEvent, signal: AbortSignal) => Promise<string | undefined>
  readonly close: () => Promise<void>
}

function openTarget(
  settings: ConsumerSettings,
  openQueueRedis: () => RedisClient,
  keyPrefix: string
): Target {
  if (settings.type === 'http') {
    const { add, queue } = openPushQueue(openQueueRedis(), keyPrefix, settings)
    return {
      send: async (event, signal) => {
        await rejectOnAbort(signal, add([event], signal))
        return undefined
      },
      close: () => queue.close()
    }
  }
  const sink = settings.type === 'nats' ? createNatsSink(settings) : createAmqpSink(settings)
  return {
    send: async (event, signal) => (await sink.publish([event], signal))[0]?.reason,
    close: () => sink.close()
  }
}
