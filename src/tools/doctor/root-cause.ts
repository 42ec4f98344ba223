import type { Result } from './check.ts'
import { type Endpoint, type Reply, SENDER_TIMEOUT_MS } from './endpoint.ts'
import { describeReply, isAccepted, isBroken, isInTime, isRedirect, statusOf } from './expectations.ts'
import { NO_HANDSHAKE } from './tls-checks.ts'

/** The fault to fix first: most other findings follow from it. */
export interface RootCause {
  readonly cause:
    | 'tls'
    | 'no_answer'
    | 'slow'
    | 'no_receiver'
    | 'unavailable'
    | 'redirected'
    | 'address'
    | 'key'
    | 'time_limit'
  /** In one sentence: what was observed, and what it means for Customer.io. */
  readonly observed: string
  /** True if every other check would only repeat it; then none is run. */
  readonly stops: boolean
}

const stopping = (cause: RootCause['cause'], observed: string): RootCause => ({
  cause,
  observed: `${observed} Other checks were not run.`,
  stops: true
})

const NOT_THERE: ReadonlySet<number> = new Set([404, 405, 410])

/** @returns `undefined` if no single cause explains the findings so far */
export function rootCauseOf(endpoint: Endpoint, results: readonly Result[]): RootCause | undefined {
  const posts = endpoint.exchanges.filter(({ method, timed }) => method === 'POST' && timed)
  const replies = posts.map(({ reply }) => reply)
  const [first] = replies
  const hasForged = posts.some(({ check }) => check !== 'authentic')
  return (
    tlsCause(results) ?? (first && commonCause(replies, first, hasForged)) ?? baselineCause(endpoint, replies)
  )
}

function tlsCause(results: readonly Result[]): RootCause | undefined {
  const tls = results.filter(({ check }) => check.id.startsWith('tls-'))
  const failed = tls.find(({ status, observed }) => status === 'skip' && observed.startsWith(NO_HANDSHAKE))
  if (failed !== undefined) {
    return stopping('tls', `${failed.observed} Customer.io cannot deliver to this address.`)
  }
  const invalid = tls.find(({ status }) => status === 'fail')
  if (invalid === undefined) return undefined
  const observed = `The certificate is not valid for Customer.io, which therefore delivers nothing. ${invalid.observed}`
  return { cause: 'tls', observed, stops: false }
}

/**
 * What all answers have in common.
 *
 * @param hasForged true if one of the deliveries was forged: only then a common answer is conclusive
 */
function commonCause(replies: readonly Reply[], first: Reply, hasForged: boolean): RootCause | undefined {
  const every = (holds: (reply: Reply) => boolean): boolean => replies.every(holds)
  if (every(({ kind }) => kind === 'none')) {
    return stopping('no_answer', `The endpoint does not answer: ${describeReply(first)}.`)
  }
  if (every(reply => !isInTime(reply))) {
    const fastestMs = Math.min(...replies.map(({ durationMs }) => durationMs))
    const observed = `Every answer takes ${(fastestMs / 1000).toFixed(1)} s or longer: Customer.io gives up after ${SENDER_TIMEOUT_MS / 1000} s.`
    return stopping('slow', observed)
  }
  if (every(reply => NOT_THERE.has(statusOf(reply)))) {
    const observed = `There is no webhook endpoint at this address: ${describeReply(first)}. Is the path right?`
    return stopping('no_receiver', observed)
  }
  if (hasForged && every(isHtmlPage)) {
    const observed = `A web page answers, not a webhook endpoint: ${describeReply(first)}. Is the address right?`
    return stopping('no_receiver', observed)
  }
  if (hasForged && every(isBroken)) {
    const observed = `The endpoint, or a proxy in front of it, fails on every delivery: ${describeReply(first)}.`
    return stopping('unavailable', observed)
  }
  if (every(isRedirect)) {
    const observed = `Every delivery is redirected: ${describeReply(first)}. Customer.io needs the address at the end.`
    return { cause: 'redirected', observed, stops: false }
  }
  return undefined
}

/** A web application may answer every path with its start page and 200. */
const isHtmlPage = (reply: Reply): boolean =>
  reply.kind === 'answer' && isAccepted(reply) && /^\s*(?:<!doctype html|<html\b)/i.test(reply.body)

function baselineCause({ state }: Endpoint, replies: readonly Reply[]): RootCause | undefined {
  const { baseline, diagnosis } = state
  const isRefusedByAddress =
    baseline === 'unknown' && replies.length > 0 && replies.every(reply => statusOf(reply) === 403)
  if (baseline === 'forbidden' || isRefusedByAddress) {
    const observed = diagnosis || "This machine's address is not allowed to deliver: every delivery gets 403."
    return { cause: 'address', observed, stops: false }
  }
  if (baseline === 'refused') return { cause: 'key', observed: diagnosis, stops: false }
  if (baseline === 'unavailable') return { cause: 'unavailable', observed: diagnosis, stops: false }
  return undefined
}
