import type { RedisClient } from '../redis/connect.ts'
import { createAmqpSink } from './amqp-sink.ts'
import type { ConsumerSettings } from './consumers-file.ts'
import { createNatsSink } from './nats-sink.ts'
import { openPushQueue } from './push-queue.ts'
import type { OutgoingEvent } from './sink.ts'

export interface HandOn {
  readonly handOn: ((event: OutgoingEvent) => Promise<void>) | undefined
  readonly close: () => Promise<void>
}

const HAND_ON_TIMEOUT_MS = 30_000

/** Hands single events to a consumer past the log. Only those of `CONSUMERS_FILE` can be reached so. */
export function handOnTo(
  settings: ConsumerSettings | undefined,
  patient: () => RedisClient,
  keyPrefix: string
): HandOn {
  if (settings === undefined) return { handOn: undefined, close: async () => {} }
  if (settings.type === 'http') {
    const { name: consumer, maxAttempts: attempts, backlog, backlogBytes } = settings
    const redis = patient()
    const { add, queue } = openPushQueue({ redis, keyPrefix, consumer, attempts, backlog, backlogBytes })
    return {
      handOn: event => add([event], AbortSignal.timeout(HAND_ON_TIMEOUT_MS)),
      close: () => queue.close()
    }
  }
  const sink = settings.type === 'nats' ? createNatsSink(settings) : createAmqpSink(settings)
  return {
    handOn: async event => {
      const [refused] = await sink.publish([event], AbortSignal.timeout(HAND_ON_TIMEOUT_MS))
      if (refused !== undefined) throw new Error(refused.reason)
    },
    close: () => sink.close()
  }
}
