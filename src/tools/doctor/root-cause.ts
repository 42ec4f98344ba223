import { type Endpoint, type Reply, SENDER_TIMEOUT_MS } from './endpoint.ts'
import { isAccepted, isBroken, isInTime, isRedirect, statusOf, tell } from './expectations.ts'
import type { Result } from './run-checks.ts'

/** The one thing to look at first: most of what else is found follows from it. */
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
  /** In one sentence: what was seen, and what it means for Customer.io. */
  readonly saw: string
  /** Would every other check only repeat it? Then none is made. */
  readonly stops: boolean
}

const stopping = (cause: RootCause['cause'], saw: string): RootCause => ({
  cause,
  saw: `${saw} Other checks were not run.`,
  stops: true
})

const NOT_THERE: ReadonlySet<number> = new Set([404, 405, 410])

/** @returns `undefined` if nothing seen so far explains the rest */
export function rootCauseOf(endpoint: Endpoint, results: readonly Result[]): RootCause | undefined {
  const posts = endpoint.heard.filter(({ method, timed }) => method === 'POST' && timed)
  const replies = posts.map(({ reply }) => reply)
  const [first] = replies
  const hasForged = posts.some(({ check }) => check !== 'authentic')
  return (
    tlsCause(results) ?? (first && commonCause(replies, first, hasForged)) ?? standingCause(endpoint, replies)
  )
}

function tlsCause(results: readonly Result[]): RootCause | undefined {
  const tls = results.filter(({ check }) => check.id.startsWith('tls-'))
  const failed = tls.find(({ status, saw }) => status === 'unjudged' && saw.startsWith('There was no TLS'))
  if (failed !== undefined) {
    return stopping('tls', `${failed.saw} Customer.io can't deliver to this address.`)
  }
  const wrong = tls.find(({ status }) => status === 'wrong')
  if (wrong === undefined) return undefined
  const saw = `The certificate is not valid for Customer.io, which delivers nothing to it. ${wrong.saw}`
  return { cause: 'tls', saw, stops: false }
}

/**
 * What all answers have in common.
 *
 * @param hasForged is one of them about a forged delivery? What it has in common with an authentic one says most
 */
function commonCause(replies: readonly Reply[], first: Reply, hasForged: boolean): RootCause | undefined {
  const every = (holds: (reply: Reply) => boolean): boolean => replies.every(holds)
  if (every(({ kind }) => kind === 'none')) {
    return stopping('no_answer', `The receiver does not answer: ${tell(first)}.`)
  }
  if (every(reply => !isInTime(reply))) {
    const fastestMs = Math.min(...replies.map(({ durationMs }) => durationMs))
    const saw = `Every answer takes ${(fastestMs / 1000).toFixed(1)} s or longer: Customer.io gives up after ${SENDER_TIMEOUT_MS / 1000} s.`
    return stopping('slow', saw)
  }
  if (every(reply => NOT_THERE.has(statusOf(reply)))) {
    const saw = `There is no webhook receiver at this address: ${tell(first)}. Is the path right?`
    return stopping('no_receiver', saw)
  }
  if (hasForged && every(isHtmlPage)) {
    const saw = `A web page answers, not a webhook receiver: ${tell(first)}. Is the address right?`
    return stopping('no_receiver', saw)
  }
  if (hasForged && every(isBroken)) {
    const saw = `The receiver, or what stands in front of it, fails on everything: ${tell(first)}.`
    return stopping('unavailable', saw)
  }
  if (every(isRedirect)) {
    const saw = `Every delivery is redirected: ${tell(first)}. Customer.io needs the address at the end.`
    return { cause: 'redirected', saw, stops: false }
  }
  return undefined
}

/** An application that answers any path with its start page does so with 200. */
const isHtmlPage = (reply: Reply): boolean =>
  reply.kind === 'answer' && isAccepted(reply) && /^\s*(?:<!doctype html|<html\b)/i.test(reply.body)

function standingCause({ state }: Endpoint, replies: readonly Reply[]): RootCause | undefined {
  const { standing, diagnosis } = state
  const isRefusedByAddress =
    standing === 'unknown' && replies.length > 0 && replies.every(reply => statusOf(reply) === 403)
  if (standing === 'forbidden' || isRefusedByAddress) {
    const saw = diagnosis || "This machine's address is not allowed to deliver: every delivery gets 403."
    return { cause: 'address', saw, stops: false }
  }
  if (standing === 'refused') return { cause: 'key', saw: diagnosis, stops: false }
  if (standing === 'unavailable') return { cause: 'unavailable', saw: diagnosis, stops: false }
  return undefined
}
