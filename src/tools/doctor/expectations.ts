import { type Finding, note, unjudged, well, wrong } from './check.ts'
import { type Endpoint, type Reply, SENDER_TIMEOUT_MS } from './endpoint.ts'

/** Statuses after which Customer.io waits an hour before it tries again (its documentation, read 2026-11-24). */
const HOUR_STATUSES = new Set([400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521])

export const statusOf = (reply: Reply): number => (reply.kind === 'answer' ? reply.status : 0)
export const isAccepted = (reply: Reply): boolean => statusOf(reply) >= 200 && statusOf(reply) < 300
export const isRedirect = (reply: Reply): boolean => statusOf(reply) >= 300 && statusOf(reply) < 400
export const isRefused = (reply: Reply): boolean => statusOf(reply) >= 400 && statusOf(reply) < 500
/** Does our own service say that the address is not on its list? Elsewhere a 403 may mean anything. */
export const isForbidden = (reply: Reply): boolean =>
  reply.kind === 'answer' && reply.status === 403 && reply.body.includes('CIO_SOURCE_FORBIDDEN')
export const isBroken = (reply: Reply): boolean => statusOf(reply) >= 500

/** `401 after 3 ms`, or why there is none. */
export function tell(reply: Reply): string {
  const after = `after ${Math.round(reply.durationMs)} ms`
  if (reply.kind === 'answer') return `${reply.status} ${after}`
  if (reply.reason === 'timeout') return `no answer ${after}`
  if (reply.reason === 'unreachable') return `no connection (${reply.code})`
  return `hung up without an answer ${after} (${reply.code})`
}

/** What our own answers say became of the event; `undefined` where a receiver only says 2xx. */
export function outcomeOf(reply: Reply): 'accepted' | 'duplicate' | 'parked' | undefined {
  if (reply.kind === 'none') return undefined
  try {
    const { status } = JSON.parse(reply.body) as { status?: unknown }
    return status === 'accepted' || status === 'duplicate' || status === 'parked' ? status : undefined
  } catch {
    return undefined
  }
}

/** An authentic delivery must be answered 2xx, or it holds back all that follow. */
export function judgeAccepted(reply: Reply, what = 'It'): Finding {
  if (isAccepted(reply)) return well(`${what} is accepted: ${tell(reply)}.`)
  const wait = HOUR_STATUSES.has(statusOf(reply))
    ? ' Customer.io waits an hour after this answer, and holds back every later event.'
    : ' Customer.io tries again, and holds back every later event.'
  return wrong(`${what} is authentic and not accepted: ${tell(reply)}.${wait}`)
}

/**
 * What is not authentic must be refused with 4xx.
 *
 * @param byAddress may a 403 mean that the doctor's address was refused before anything else was looked at?
 */
export function judgeRefused(endpoint: Endpoint, reply: Reply, what = 'It'): Finding {
  if (isAccepted(reply)) return wrong(`${what} is accepted: ${tell(reply)}.`)
  if (isBroken(reply)) return wrong(`${what} breaks the receiver instead of being refused: ${tell(reply)}.`)
  if (isRedirect(reply)) return unjudged(`${what} is sent elsewhere: ${tell(reply)}. See redirect.`)
  if (reply.kind === 'none' && reply.reason === 'timeout') return wrong(`${what} gets ${tell(reply)}.`)
  if (reply.kind === 'none') return note(`${what}: the receiver ${tell(reply)}.`)
  if (isForbidden(reply) || (reply.status === 403 && endpoint.state.standing === 'forbidden')) {
    return unjudged('403: your address is refused before the signature is looked at.')
  }
  const limited = reply.status === 429 ? ' The limit for failed attempts is reached.' : ''
  return well(`${what} is refused: ${tell(reply)}.${limited}`)
}

/** Of several findings on one question the worst, told in full. */
export function worst(findings: readonly Finding[]): Finding {
  for (const status of ['wrong', 'unjudged', 'note'] as const) {
    const of = findings.filter(finding => finding.status === status)
    if (of.length > 0) return { status, saw: [...new Set(of.map(({ saw }) => saw))].join(' ') }
  }
  return findings[0] ?? unjudged('Nothing was asked.')
}

/** Asks for every row at once, and tells the worst. */
export async function judgeEachRefused<T>(
  endpoint: Endpoint,
  rows: readonly T[],
  ask: (row: T) => Promise<readonly [what: string, reply: Reply]>
): Promise<Finding> {
  const findings = await Promise.all(
    rows.map(async row => {
      const [what, reply] = await ask(row)
      return judgeRefused(endpoint, reply, what)
    })
  )
  const finding = worst(findings)
  return finding.status === 'well' ? well(`All ${findings.length} are refused.`) : finding
}

/** Several deliveries of one id: all answered, one kept. */
export function judgeOnce(replies: readonly Reply[], id: string): Finding {
  const bad = replies.find(reply => !isAccepted(reply) && statusOf(reply) !== 503)
  if (bad !== undefined)
    return wrong(`One of ${replies.length} got this: ${tell(bad)}. A retry must be answered 2xx.`)
  const outcomes = replies.map(outcomeOf)
  const accepted = outcomes.filter(outcome => outcome === 'accepted').length
  const away = replies.filter(reply => statusOf(reply) === 503).length
  const untold = replies.some((reply, index) => isAccepted(reply) && outcomes[index] === undefined)
  if (accepted > 1)
    return wrong(`${accepted} of ${replies.length} deliveries of one event are accepted as new.`)
  if (untold) {
    return unjudged(
      `All are answered 2xx, but the answers don't tell a new event from a duplicate. Look whether your consumers got ${id} once.`
    )
  }
  if (accepted === 1 || away > 0) {
    const later = away > 0 ? `, ${away} asked to come again (503)` : ''
    return well(
      `${replies.length} deliveries of one event: ${accepted} accepted${later}, the others duplicates.`
    )
  }
  return wrong(
    `Of ${replies.length} deliveries of one new event none is accepted: all are called duplicates.`
  )
}

export const isInTime = (reply: Reply): boolean =>
  reply.kind === 'answer' && reply.durationMs < SENDER_TIMEOUT_MS
