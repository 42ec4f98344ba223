import type { Scheme } from '../../settings/sources.ts'
import type { BatchSummary } from './load.ts'

interface SentWith {
  readonly scheme: Scheme
  /** Identifies the signing key without revealing it: see Secret. */
  readonly keyId: string
}

/** A smaller difference cannot be the reason for a 401. */
const NOTABLE_CLOCK_OFFSET_SECONDS = 60

/** What to check next, for each kind of failure. */
export function hintsFor(summary: BatchSummary, sentWith: SentWith): readonly string[] {
  const { statuses, outcomes } = summary
  const hints: string[] = []
  if (outcomes['parked'] !== undefined) {
    hints.push('parked: authentic, but not an event. Each delivery must be one JSON object')
  }
  for (const status of Object.keys(statuses)) {
    const hint = status === '401' ? unauthorizedHint(summary, sentWith) : statusHints[status]
    if (hint !== undefined) hints.push(`${status}: ${hint}`)
  }
  return hints
}

function unauthorizedHint({ clockOffsetSeconds }: BatchSummary, { scheme, keyId }: SentWith): string {
  const reasons = [
    `It was signed with the key ${keyId} ("cio-webhook rotate status" shows the key of the receiver): every webhook has its own signing key, which is not an API key`,
    `it was signed with scheme ${scheme}: the source may accept only others (--scheme v0, body or cdp)`
  ]
  if (scheme === 'v0') reasons.push(clockHint(clockOffsetSeconds))
  return `the receiver refused the signature. ${reasons.join('; ')}`
}

function clockHint(offsetSeconds: number | undefined): string {
  if (offsetSeconds === undefined) return "compare the receiver's clock with this one"
  const differenceSeconds = Math.abs(offsetSeconds)
  if (differenceSeconds < NOTABLE_CLOCK_OFFSET_SECONDS) return 'the clocks agree'
  return `the receiver's clock is ${differenceSeconds} s ${offsetSeconds > 0 ? 'ahead of' : 'behind'} this one, so the timestamp may be outside its tolerance`
}

const statusHints: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    'nothing listens at this address: check that the service is running, and the port (PORT, or the URL)',
  ENOTFOUND: 'unknown host name: check the URL',
  ETIMEDOUT: 'no answer within 4 s, the timeout of Customer.io: check the log of the receiver',
  '403':
    "this machine's address is not allowed: add it to CIO_ALLOWED_IPS, or behind a proxy set TRUSTED_PROXIES",
  '404': 'no receiver at this path: it must be /api/cio/webhook, and the source of --source must exist there',
  '405': 'this path does not accept POST: it must be /api/cio/webhook',
  '413':
    'the body is too large: the limit of the service is 5 MiB, that of a proxy often less (nginx: client_max_body_size)',
  '429': 'too many failed attempts from this address: wait RATE_LIMIT_WINDOW_SECONDS',
  '503':
    'the receiver cannot keep events now, for example because Redis is down: see its log; --retry repeats the delivery'
}
