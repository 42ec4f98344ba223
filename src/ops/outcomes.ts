// Closed sets of label values, for log lines and metrics.

/** How a delivery ended. `aborted`: before its body was read completely, or too large from an unknown address. */
export const deliveryOutcomes = [
  'accepted',
  'duplicate',
  'parked',
  'signature_invalid',
  'source_forbidden',
  'rate_limited',
  'too_large',
  'unavailable',
  'aborted'
] as const
export type Outcome = (typeof deliveryOutcomes)[number]

/** Why a delivery is not authentic: for the log and the metrics, never for the sender. */
export const signatureFailures = [
  'missing',
  'malformed',
  'timestamp_malformed',
  'timestamp_stale',
  'timestamp_future',
  'scheme_not_allowed',
  'scheme_confusion',
  'mismatch'
] as const
export type SignatureFailure = (typeof signatureFailures)[number]

/** How an attempt to deliver an event to a push consumer ended: `dead` was the last one, `gone` was answered 410. */
export const attemptOutcomes = ['delivered', 'failed', 'dead', 'gone'] as const
export type AttemptOutcome = (typeof attemptOutcomes)[number]

/**
 * The state of a reporting webhook at Customer.io: `incomplete` lacks event types, `duplicated` has a second one beside
 * it, `unchecked` could not be read.
 */
export const webhookStates = [
  'ok',
  'deleted',
  'elsewhere',
  'disabled',
  'unknown_key',
  'incomplete',
  'duplicated',
  'unchecked'
] as const
export type WebhookState = (typeof webhookStates)[number]
