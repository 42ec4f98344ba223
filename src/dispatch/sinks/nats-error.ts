import { JetStreamApiError } from '@nats-io/jetstream'
import { errorCode, ReportedError } from '../../errors.ts'

const MAX_TEXT = 200

/** @param failed what could not be done, as in `the stream CIO can't be created` */
export function natsError(failed: string, cause: unknown): ReportedError {
  return new ReportedError(`${failed}: ${natsReason(cause)}`, { cause })
}

/** What NATS says, with its code: `subjects overlap with an existing stream (10065)`. */
function natsReason(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if (hasNoResponders(error)) {
    return 'JetStream is not enabled on this server, or not for this account'
  }
  // Of a refused connection, the client keeps the reason as the cause.
  const code = error instanceof JetStreamApiError ? error.code : errorCode(error.cause)
  const text = error.message.replace(/[^\x20-\x7e]/g, '?').slice(0, MAX_TEXT)
  return code === undefined ? text : `${text} (${code})`
}

/**
 * Did nobody take the message? The client calls this "jetstream is not enabled", whether there is no JetStream or no
 * stream with this subject.
 */
export const hasNoResponders = (error: unknown): boolean =>
  error instanceof Error && error.name === 'JetStreamNotEnabled'
