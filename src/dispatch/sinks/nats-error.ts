// Tested by test/dispatch/sinks/nats-setup.test.ts.
import { JetStreamApiError } from '@nats-io/jetstream'
import { errorCode, ReportedError } from '../../errors.ts'

const MAX_TEXT = 200

/** @param failed what could not be done, such as `the stream CIO cannot be created` */
export function natsError(failed: string, cause: unknown): ReportedError {
  return new ReportedError(`${failed}: ${natsReason(cause)}`, { cause })
}

/** The error of NATS with its code: `subjects overlap with an existing stream (10065)`. */
function natsReason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if (hasNoResponders(error)) {
    return 'JetStream is not enabled on this server, or not for this account'
  }
  // For a refused connection, the client has the reason in `cause`.
  const code = error instanceof JetStreamApiError ? error.code : errorCode(error.cause)
  const text = error.message.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_TEXT)
  return code === undefined ? text : `${text} (${code})`
}

/**
 * Whether the message had no receiver. The client calls this "jetstream is not enabled", no matter whether JetStream or
 * a stream with this subject is missing.
 */
export const hasNoResponders = (error: unknown): boolean =>
  error instanceof Error && error.name === 'JetStreamNotEnabled'
