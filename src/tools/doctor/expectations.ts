// Tested by test/tools/doctor/faults.slow.test.ts.
import { type Check, type Finding, fail, pass, skip, warn } from './check.ts'
import { type Endpoint, type Reply, SENDER_TIMEOUT_MS } from './endpoint.ts'

/** Statuses after which Customer.io waits an hour before it tries again (its documentation, read 2026-11-24). */
const HOUR_STATUSES = new Set([400, 401, 402, 403, 404, 405, 410, 429, 500, 502, 521])

export const statusOf = (reply: Reply): number => (reply.kind === 'answer' ? reply.status : 0)
export const isAccepted = (reply: Reply): boolean => statusOf(reply) >= 200 && statusOf(reply) < 300
export const isRedirect = (reply: Reply): boolean => statusOf(reply) >= 300 && statusOf(reply) < 400
export const isRefused = (reply: Reply): boolean => statusOf(reply) >= 400 && statusOf(reply) < 500
/** True if cio-webhook says that the address is not on its list. Elsewhere a 403 may mean anything. */
export const isForbidden = (reply: Reply): boolean =>
  reply.kind === 'answer' && reply.status === 403 && reply.body.includes('CIO_SOURCE_FORBIDDEN')
export const isBroken = (reply: Reply): boolean => statusOf(reply) >= 500
export const isTimeout = (reply: Reply): boolean => reply.kind === 'none' && reply.reason === 'timeout'
export const isInTime = (reply: Reply): boolean =>
  reply.kind === 'answer' && reply.durationMs < SENDER_TIMEOUT_MS

/** `401 after 3 ms`, or why there is no answer. */
export function describeReply(reply: Reply): string {
  const after = `after ${Math.round(reply.durationMs)} ms`
  if (reply.kind === 'answer') return `${reply.status} ${after}`
  if (reply.reason === 'timeout') return `no answer ${after}`
  if (reply.reason === 'unreachable') return `no connection (${reply.code})`
  return `connection closed without an answer ${after} (${reply.code})`
}

/** What cio-webhook's answer says about the event; `undefined` if the answer does not say it. */
export function outcomeOf(reply: Reply): 'accepted' | 'duplicate' | 'parked' | undefined {
  if (reply.kind === 'none') return undefined
  try {
    const { status } = JSON.parse(reply.body) as { status?: unknown }
    return status === 'accepted' || status === 'duplicate' || status === 'parked' ? status : undefined
  } catch {
    return undefined
  }
}

/** An authentic delivery must be answered 2xx, or it holds up all later ones. */
export function judgeAccepted(reply: Reply, subject = 'It'): Finding {
  if (isAccepted(reply)) return pass(`${subject} is accepted: ${describeReply(reply)}.`)
  const consequence = HOUR_STATUSES.has(statusOf(reply))
    ? 'Customer.io waits an hour after this answer, and holds back every later event.'
    : 'Customer.io tries again, and holds back every later event.'
  return fail(`${subject} is authentic and not accepted: ${describeReply(reply)}. ${consequence}`)
}

/** A delivery that is not authentic must be refused with 4xx. */
export function judgeRefused(endpoint: Endpoint, reply: Reply, subject = 'It'): Finding {
  const described = describeReply(reply)
  if (isAccepted(reply)) return fail(`${subject} is accepted: ${described}.`)
  if (isBroken(reply)) return fail(`${subject} causes an error instead of being refused: ${described}.`)
  if (isRedirect(reply)) return skip(`${subject} is redirected: ${described}. See redirect.`)
  if (isTimeout(reply)) return fail(`${subject} gets ${described}.`)
  if (reply.kind === 'none') return warn(`${subject} is not answered: ${described}.`)
  if (isForbidden(reply) || (reply.status === 403 && endpoint.state.baseline === 'forbidden')) {
    return skip('403: your address is refused before the signature is checked.')
  }
  const limited = reply.status === 429 ? ' The limit for failed attempts is reached.' : ''
  return pass(`${subject} is refused: ${described}.${limited}`)
}

type DeliveryCheck = Omit<Check, 'run'> & { readonly send: (endpoint: Endpoint) => Promise<Reply> }

/** A check of one authentic delivery, which must be accepted. */
export const acceptedCheck = ({ send, ...check }: DeliveryCheck): Check => ({
  ...check,
  run: async endpoint => judgeAccepted(await send(endpoint))
})

/** A check of one delivery that is not authentic and must be refused. */
export const refusedCheck = ({ send, ...check }: DeliveryCheck): Check => ({
  ...check,
  run: async endpoint => judgeRefused(endpoint, await send(endpoint))
})

/** Of several findings on one question the worst, with all observations of that status. */
export function worst(findings: readonly Finding[]): Finding {
  for (const status of ['fail', 'skip', 'warn'] as const) {
    const observed = findings.filter(finding => finding.status === status).map(finding => finding.observed)
    if (observed.length > 0) return { status, observed: [...new Set(observed)].join(' ') }
  }
  return findings[0] ?? skip('Nothing was sent.')
}

/** Sends every row at once. @returns the worst finding */
export async function judgeEachRefused<T>(
  endpoint: Endpoint,
  rows: readonly T[],
  send: (row: T) => Promise<readonly [subject: string, reply: Reply]>
): Promise<Finding> {
  const findings = await Promise.all(
    rows.map(async row => {
      const [subject, reply] = await send(row)
      return judgeRefused(endpoint, reply, subject)
    })
  )
  const finding = worst(findings)
  return finding.status === 'pass' ? pass(`All ${findings.length} are refused.`) : finding
}

/** Several deliveries of one event: all must be answered, and one kept. */
export function judgeAcceptedOnce(replies: readonly Reply[], id: string): Finding {
  const count = replies.length
  const bad = replies.find(reply => !isAccepted(reply) && statusOf(reply) !== 503)
  if (bad !== undefined)
    return fail(`One of ${count} gets ${describeReply(bad)}. A retry must be answered 2xx.`)
  const outcomes = replies.map(outcomeOf)
  const accepted = outcomes.filter(outcome => outcome === 'accepted').length
  const unavailable = replies.filter(reply => statusOf(reply) === 503).length
  if (accepted > 1) return fail(`${accepted} of ${count} deliveries of one event are accepted as new.`)
  if (replies.some((reply, index) => isAccepted(reply) && outcomes[index] === undefined)) {
    return skip(
      `All are answered 2xx, but the answers do not distinguish a new event from a duplicate. Check whether your consumers got ${id} once.`
    )
  }
  if (accepted === 0 && unavailable === 0)
    return fail(`Of ${count} deliveries of one new event none is accepted: all are called duplicates.`)
  const later = unavailable > 0 ? `, ${unavailable} asked to retry later (503)` : ''
  return pass(`${count} deliveries of one event: ${accepted} accepted${later}, the others duplicates.`)
}
