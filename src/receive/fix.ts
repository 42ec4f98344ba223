import type { Outcome, SignatureFailure } from '../ops/outcomes.ts'
import type { Delivery } from './delivery.ts'
import type { AddressVariable } from './delivery-stats.ts'

/** A refused delivery, as far as it matters for what fixes it. */
type Refused = Pick<Delivery, 'reason' | 'wrongAddress' | 'addressAllowed' | 'key'>

const ofSignature: Readonly<Record<SignatureFailure, string>> = {
  missing:
    'the signature header is missing: a webhook of Customer.io always sends it; check that your proxy passes on x-cio-signature and x-cio-timestamp, and that the URL is that of a reporting webhook',
  malformed:
    'the signature is not hexadecimal, or has the wrong length: check what changes the header on its way',
  timestamp_malformed:
    'x-cio-timestamp is not a Unix time in seconds: check what changes the header on its way',
  timestamp_stale:
    'the signed time is too long ago: check the clock of this machine, or raise CIO_SIGNATURE_TOLERANCE_SECONDS',
  timestamp_future: 'the signed time is more than 300 s in the future: check the clock of this machine (NTP)',
  scheme_not_allowed:
    'the source does not accept this kind of signature: set "schemes" of the source in CIO_SOURCES_FILE (cdp for Data Pipelines)',
  scheme_confusion: 'the header x-cio-timestamp is missing: check that your proxy passes it on',
  mismatch:
    'no signing key matches: compare the key with the one that Customer.io shows beside this webhook (cio-webhook rotate status shows its id), and check that no proxy changes the body'
}

/** What to set, by the variable that is probably wrong. */
export const addressFixes: Readonly<Record<AddressVariable, string>> = {
  TRUSTED_PROXIES: 'add the address of the proxy to TRUSTED_PROXIES',
  CIO_ALLOWED_IPS: 'add the address to CIO_ALLOWED_IPS, or to TRUSTED_PROXIES if it is your proxy'
}

const ofUnavailable: Readonly<Record<string, string>> = {
  redis_down: 'see the log line "cannot reach Redis", or run cio-webhook status',
  redis_timeout: 'Redis did not answer in time: check its load, its disk and slow commands (SLOWLOG GET)',
  redis_full: 'raise maxmemory of Redis, or let consumers catch up: cio-webhook consumers',
  log_full: 'let consumers catch up (cio-webhook consumers), or raise EVENT_MAX_LENGTH',
  durability_not_reached: 'check the replicas and the disk of Redis, or lower DURABILITY',
  overloaded: 'add CPU, WORKERS or replicas',
  no_memory: 'add replicas: the bodies in flight need more memory than one process gives them'
}

/**
 * What fixes a refused delivery, for its log line. A fixed text chosen by closed sets: it costs a look-up, and contains
 * nothing that the sender has sent.
 *
 * @returns `undefined` if the delivery was not refused, or if the fix is not known
 */
export function fixOf(outcome: Outcome, delivery: Refused): string | undefined {
  const { reason, wrongAddress, key } = delivery
  switch (outcome) {
    case 'signature_invalid':
      return ofSignature[reason as SignatureFailure]
    case 'source_forbidden':
      // Without a valid signature nobody needs to be let in.
      return key === undefined || wrongAddress === undefined ? undefined : addressFixes[wrongAddress]
    case 'too_large':
      return 'Customer.io sends less than 5 MiB: if this delivery is from Customer.io, report it'
    case 'unavailable':
      return reason === undefined ? undefined : ofUnavailable[reason]
    case 'rate_limited':
      return 'if this is a sender of yours, add its address to CIO_ALLOWED_IPS or correct its signatures'
    default:
      return undefined
  }
}
