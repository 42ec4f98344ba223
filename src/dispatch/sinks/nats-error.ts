// Tested by test/dispatch/sinks/nats-setup.test.ts.
import { NoRespondersError } from '@nats-io/transport-node'
import { ReportedError } from '../../errors.ts'
import { brokerText } from '../failure.ts'

/**
 * @param failed what could not be done, such as `the stream CIO cannot be created`
 * @returns an error with NATS' text and code, such as `subjects overlap with an existing stream (10065)`
 */
export function natsError(failed: string, cause: unknown): ReportedError {
  const text = hasNoResponders(cause)
    ? 'JetStream is not enabled on this server, or not for this account'
    : brokerText(cause)
  return new ReportedError(`${failed}: ${text}`, { cause })
}

/** Whether the message had no receiver: JetStream is missing, or a stream with this subject. */
const hasNoResponders = (error: unknown): boolean =>
  error instanceof NoRespondersError || (error instanceof Error && error.name === 'JetStreamNotEnabled')
