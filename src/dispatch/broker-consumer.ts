// Tested by test/dispatch/dispatcher.slow.test.ts.
import { consumeInBatches } from '../group/batch-consumer.ts'
import type { GroupMember } from '../group/member.ts'
import type { AmqpSettings, NatsSettings } from '../settings/consumers-file.ts'
import { createBatchHandler, PublishFailedError } from './batch-handler.ts'
import { createSink } from './create-sink.ts'
import type { PushConsumer, PushContext } from './push-context.ts'

/**
 * Entries per call of a sink. A broker confirms about a hundred per millisecond. After a crash up to this many are sent
 * again, and an entry waits for at most this many before it.
 */
const BATCH_ENTRIES = 200
/** While a broker is down: retried soon at first, then about every ten seconds. */
const BACKOFF = { firstMs: 100, maxMs: 10_000 }
/**
 * When the consumer is paused, a batch in flight finishes: a broker may take 10 s to connect, or to confirm an earlier one,
 * and 10 s to confirm it.
 */
const STOP_TIMEOUT_MS = 30_000
/** When the service stops: its part of the 4.5 s that it has. */
const CLOSE_GRACE_MS = 1000

/** Publishes events of the log to a broker, in batches. */
export function createBrokerConsumer(
  settings: NatsSettings | AmqpSettings,
  context: PushContext
): PushConsumer {
  const { name, from } = settings
  const sink = createSink(settings)
  const readErrors = context.readErrorReporter(name)
  const handle = createBatchHandler(settings, sink, context, readErrors.report)
  /** Aborted when the stopping service does not wait for a batch in flight any longer. */
  const closing = new AbortController()
  let member: GroupMember | undefined
  return {
    name,
    start: () => {
      // A member cannot be started twice.
      member = consumeInBatches(
        {
          connect: context.connect,
          keyPrefix: context.keyPrefix,
          group: name,
          member: context.member,
          from,
          batchSize: BATCH_ENTRIES,
          backoff: BACKOFF,
          stopTimeoutMs: STOP_TIMEOUT_MS,
          stopNow: closing.signal,
          onError: error => {
            if (!(error instanceof PublishFailedError)) readErrors.report(error)
          }
        },
        handle
      )
      void member.start()
    },
    stop: async () => {
      await member?.stop()
    },
    close: async () => {
      const grace = setTimeout(() => closing.abort(), CLOSE_GRACE_MS)
      await member?.stop()
      clearTimeout(grace)
      await sink.close()
    }
  }
}
