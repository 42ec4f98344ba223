import { addressChecks } from './address-checks.ts'
import { answerChecks } from './answer-checks.ts'
import { bodyChecks } from './body-checks.ts'
import { type Check, type Finding, NOT_ACCEPTED, unjudged } from './check.ts'
import { Endpoint, type EndpointOptions } from './endpoint.ts'
import { httpChecks } from './http-checks.ts'
import { oddityChecks } from './oddity-checks.ts'
import { onceChecks } from './once-checks.ts'
import { signatureChecks } from './signature-checks.ts'
import { authentic } from './standing.ts'
import { timeChecks } from './time-checks.ts'
import { tlsChecks } from './tls-checks.ts'

export interface Selection {
  /** Only what no sound receiver accepts. */
  readonly readOnly?: boolean
  /** Ids of checks that are left out. */
  readonly skip?: readonly string[]
  /** How often the burst sends one event. */
  readonly burst?: number
}

export interface Result extends Finding {
  readonly check: Check
  readonly requests: number
  readonly durationMs: number
}

export interface Examination {
  readonly url: string
  readonly readOnly: boolean
  readonly remoteAddress: string | undefined
  readonly results: readonly Result[]
  readonly durationMs: number
}

/** Nobody is there: nothing can be said of an endpoint that can't be reached. */
export class UnreachableError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UnreachableError'
  }
}

const DEFAULT_BURST = 20

/** Every check, in the order in which they are asked: what an authentic delivery meets comes first. */
export function allChecks(burst = DEFAULT_BURST): readonly Check[] {
  return [
    authentic,
    ...tlsChecks,
    ...signatureChecks,
    ...timeChecks,
    ...onceChecks(burst),
    ...addressChecks,
    ...bodyChecks,
    ...oddityChecks,
    ...httpChecks,
    ...answerChecks
  ]
}

/** What would be asked: nothing else is sent. */
export function selectChecks({ readOnly = false, skip = [], burst }: Selection): readonly Check[] {
  return allChecks(burst).filter(
    ({ id, needs }) => !(skip.includes(id) && id !== authentic.id) && !(readOnly && needs === 'acceptance')
  )
}

/**
 * Asks an endpoint every selected question, one after the other.
 *
 * @param onResult told after each, for those who watch
 * @throws UnreachableError when there is no connection at all
 */
export async function examine(
  options: EndpointOptions,
  selection: Selection = {},
  onResult: (result: Result, index: number, count: number) => void = () => {}
): Promise<Examination> {
  const startedMs = performance.now()
  const endpoint = new Endpoint(options)
  const checks = selectChecks(selection)
  const results: Result[] = []
  for (const [index, check] of checks.entries()) {
    const result = await ask(check, endpoint, results)
    results.push(result)
    onResult(result, index, checks.length)
  }
  return {
    url: options.url.href,
    readOnly: selection.readOnly ?? false,
    remoteAddress: endpoint.remoteAddress,
    results,
    durationMs: performance.now() - startedMs
  }
}

async function ask(check: Check, endpoint: Endpoint, earlier: readonly Result[]): Promise<Result> {
  const startedMs = performance.now()
  const before = endpoint.heard.length
  endpoint.current = check.id
  const finding = beforehand(check, endpoint, earlier) ?? (await check.run(endpoint))
  const [first] = endpoint.heard
  if (first?.reply.kind === 'none' && first.reply.reason === 'unreachable') {
    throw new UnreachableError(`${endpoint.url.origin} can't be reached (${first.reply.code})`)
  }
  return {
    check,
    ...finding,
    requests: endpoint.heard.length - before,
    durationMs: performance.now() - startedMs
  }
}

/** What is known before anything is sent: that it would say nothing. */
function beforehand(check: Check, endpoint: Endpoint, earlier: readonly Result[]): Finding | undefined {
  const cause = earlier.find(result => result.status === 'wrong' && check.after?.includes(result.check.id))
  if (cause !== undefined) return unjudged(`It would only repeat ${cause.check.id}.`)
  if (check.needs === 'acceptance' && check.id !== authentic.id && endpoint.standing !== 'accepted') {
    return unjudged(NOT_ACCEPTED)
  }
  return undefined
}
