/*
 * Names of checks, where a mutation refers to them. This file imports nothing, so that mutations.ts does not load src.
 */

// After every run.
export const LOST = 'every acknowledged event is in the log, or was read before it was trimmed'
export const DUPLICATED = 'no event is in the log twice'
export const CONTENT = 'each event has the right content'
export const EXITS = 'no process exited unexpectedly or logged an uncaught error'
export const answersAre = (allowed: readonly string[]): string =>
  `the senders got only ${allowed.join(', ')}, and no timeout`

// Of some scenarios.
export const NOT_RESENT = 'the service did not send a command to Redis again'
export const FRESHNESS = 'fresh deliveries, by the clock of the service, were accepted and all others refused'
export const NOTHING_MISSED = 'the stopped consumer got every event that was appended meanwhile'
/** Bound of the resident memory in a flood of bodies (law 9). */
export const MOST_MB = 300
export const BOUNDED = `resident memory stays below ${MOST_MB} MB`
export const NO_ALERT = 'no delivery without a valid signature has the outcome unavailable'
