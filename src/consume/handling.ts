// Tested by test/consume/consumer.test.ts.
import { raceAbort } from '../async/abort.ts'
import { type Backoff, backoffMs, pause } from '../async/backoff.ts'
import { parseCloudEvent } from '../group/cloud-event.ts'
import type { ReadEntry } from '../group/fenced-read.ts'
import type { AttemptContext, PartitionProcessorOptions } from '../group/partition-processor.ts'
import type { CustomerEvent } from './events.ts'
import type { Handler } from './handler.ts'
import { processSpans } from './tracing.ts'

type Handling = Pick<
  PartitionProcessorOptions<CustomerEvent>,
  'readEvent' | 'handle' | 'answerOf' | 'afterFailure' | 'maxInterrupted'
>

const MAX_NAME_LENGTH = 64

/** How the library handles events: with the user's handler, and retries in place. */
export function handling(handler: Handler, group: string, maxAttempts: number, backoff: Backoff): Handling {
  const runInSpan = processSpans(group)
  return {
    readEvent: entry => {
      const event = readEntry(entry)
      return event && { key: event.subject ?? event.id, event }
    },
    handle: (event, { entry, attempt, revoked }: AttemptContext) => {
      const context = { signal: revoked, attempt, partition: entry.partition, entryId: entry.id }
      const handled = runInSpan(event, attempt, async () => handler(event, context)).then(() => true)
      return raceAbort(revoked, handled)
    },
    answerOf: errorName,
    afterFailure: ({ attempt: { attempt }, draining }) =>
      attempt >= maxAttempts
        ? { next: 'dead' }
        : { next: 'retry', wait: pause(backoffMs(backoff, attempt), draining) },
    maxInterrupted: maxAttempts
  }
}

/** @returns the event of an entry; `undefined` unless it is an event of this service */
function readEntry({ type, event }: Pick<ReadEntry, 'type' | 'event'>): CustomerEvent | undefined {
  const parsed = parseCloudEvent(event)
  return isOfType(parsed, type) ? parsed : undefined
}

/** The entry's type must match: consumers filter by it without parsing the event. */
const isOfType = (parsed: unknown, type: string): parsed is CustomerEvent =>
  typeof parsed === 'object' && parsed !== null && 'type' in parsed && parsed.type === type

/** The class of an error. Its message could contain personal data. */
const errorName = (error: unknown): string =>
  error instanceof Error ? String(error.name).slice(0, MAX_NAME_LENGTH) : `${typeof error} thrown`
