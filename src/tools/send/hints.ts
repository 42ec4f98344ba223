import type { Scheme } from '../../settings/sources.ts'
import type { BatchSummary } from './load.ts'

export interface SentWith {
  readonly url: URL
  readonly scheme: Scheme
  /** Names the signing key without giving it away: see Secret. */
  readonly keyId: string
}

/** A smaller difference does not make a signature too old or too new. */
const NOTABLE_CLOCK_OFFSET_SECONDS = 60

/** What to look at next, for each kind of failure that was met. */
export function hintsFor(summary: BatchSummary, sentWith: SentWith): readonly string[] {
  const { statuses, outcomes } = summary
  const hints: string[] = []
  if (outcomes['parked'] !== undefined) {
    hints.push('parked: authentic, but not an event. Is each delivery one JSON object?')
  }
  for (const status of Object.keys(statuses)) {
    const hint = status === '401' ? unauthorizedHint(summary, sentWith) : statusHints[status]
    if (hint !== undefined) hints.push(`${status}: ${hint}`)
  }
  return hints
}

function unauthorizedHint({ clockOffsetSeconds }: BatchSummary, { scheme, keyId }: SentWith): string {
  const reasons = [
    `it was signed with the key ${keyId} ("cio-webhook rotate status" shows the receiver's): every webhook has its own signing key, and an API key is not one`,
    `it was signed by the scheme ${scheme}: does the source accept it (--scheme v0, body or cdp)?`
  ]
  if (scheme === 'v0') reasons.push(clockHint(clockOffsetSeconds))
  return `the receiver does not accept the signature. ${reasons.join('; ')}`
}

function clockHint(offsetSeconds: number | undefined): string {
  if (offsetSeconds === undefined) return "compare the receiver's clock with this one"
  const differenceSeconds = Math.abs(offsetSeconds)
  if (differenceSeconds < NOTABLE_CLOCK_OFFSET_SECONDS) return 'the clocks agree'
  return `the receiver's clock is ${differenceSeconds} s ${offsetSeconds > 0 ? 'ahead of' : 'behind'} this one, so the timestamp may be out of its tolerance`
}

const statusHints: Readonly<Record<string, string>> = {
  ECONNREFUSED:
    'nothing listens at this address: is the service running, and is the port right (PORT, or the URL)?',
  ENOTFOUND: 'this host name is unknown: check the URL',
  ETIMEDOUT: 'no answer within 4 s, after which Customer.io gives up too: look at the log of the receiver',
  '403':
    "this machine's address is not allowed to deliver: add it to CIO_ALLOWED_IPS, or behind a proxy set TRUSTED_PROXIES",
  '404': 'no receiver is at this path: is it /api/cio/webhook, and does the source of --source exist there?',
  '405': 'this path takes no POST: is it /api/cio/webhook?',
  '413':
    'the body is too large: the service takes 5 MiB, a proxy in front often less (nginx: client_max_body_size)',
  '429': 'too many failed attempts from this address: wait for RATE_LIMIT_WINDOW_SECONDS',
  '503':
    "the receiver can't keep events now, such as when Redis is down: its log says why; --retry sends again"
}
