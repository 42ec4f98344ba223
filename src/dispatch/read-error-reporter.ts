// Tested by test/dispatch/outages.slow.test.ts.
import { ReportedError } from '../errors.ts'
import { EntriesDeletedError } from '../group/entry-errors.ts'
import type { Logger } from '../ops/logger.ts'

/** How often an error is repeated while it lasts. */
const REPEAT_INTERVAL_MS = 60_000

/** Replies of a Redis that is starting, failing over or full: an outage, too. */
const OUTAGE_REPLY =
  /^(?:LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|NOREPLICAS|MISCONF|OOM|UNBLOCKED)\b/

/**
 * Log lines about a log that cannot be read for a consumer, at most one per minute: for example, a command is not
 * permitted. An outage of Redis is written at level debug only, because the service reports it once for all consumers.
 */
export function createReadErrorReporter(log: Logger, now: () => number, consumer: string) {
  let loggedAtMs = Number.NEGATIVE_INFINITY
  return {
    report: (error: unknown): void => {
      if (!isOfThisConsumer(error) || now() - loggedAtMs < REPEAT_INTERVAL_MS) {
        log.debug({ consumer, err: error }, 'the log could not be read for the consumer')
        return
      }
      loggedAtMs = now()
      log.warn(
        { consumer, err: error },
        'the log cannot be read for the consumer: its events stay in the log'
      )
    }
  }
}

function isOfThisConsumer(error: unknown): boolean {
  if (error instanceof ReportedError || error instanceof EntriesDeletedError) return true
  return error instanceof Error && error.name === 'ReplyError' && !OUTAGE_REPLY.test(error.message)
}
