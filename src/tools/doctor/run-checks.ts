// Tested by test/tools/doctor/promises.slow.test.ts and root-cause.slow.test.ts.
import { withTimeout } from '../../async/abort.ts'
import { addressChecks } from './address-checks.ts'
import { answerChecks } from './answer-checks.ts'
import { authentic } from './baseline-check.ts'
import { bodyChecks } from './body-checks.ts'
import { type Check, type Finding, NOT_ACCEPTED, type Result, skip } from './check.ts'
import { edgeCaseChecks } from './edge-case-checks.ts'
import { Endpoint, type EndpointOptions } from './endpoint.ts'
import { httpChecks } from './http-checks.ts'
import { idempotencyChecks } from './idempotency-checks.ts'
import { RequestLimit } from './request-limit.ts'
import { type RootCause, rootCauseOf } from './root-cause.ts'
import { signatureChecks } from './signature-checks.ts'
import { timeChecks } from './time-checks.ts'
import { tlsChecks } from './tls-checks.ts'

export interface Selection {
  /** Only checks that send nothing a correct endpoint accepts. */
  readonly readOnly?: boolean
  /** Ids of checks that are left out. */
  readonly skip?: readonly string[]
  /** How often the burst sends one event. */
  readonly burst?: number
}

export interface Report {
  readonly url: string
  readonly readOnly: boolean
  readonly remoteAddress: string | undefined
  readonly rootCause: RootCause | undefined
  readonly results: readonly Result[]
  readonly durationMs: number
}

/** There is no connection to the endpoint. */
export class UnreachableError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UnreachableError'
  }
}

const DEFAULT_BURST = 20
const NOT_RUN = 'Not run: it would only repeat the root cause.'
const OUT_OF_TIME = 'Not finished: a run ends after 55 s.'

/** Every check, in the order of the report. */
export function allChecks(burst = DEFAULT_BURST): readonly Check[] {
  return [
    authentic,
    ...tlsChecks,
    ...signatureChecks,
    ...timeChecks,
    ...idempotencyChecks(burst),
    ...addressChecks,
    ...bodyChecks,
    ...edgeCaseChecks,
    ...httpChecks,
    ...answerChecks
  ]
}

/** The checks of a run: nothing else is sent. */
export function selectChecks({ readOnly = false, skip = [], burst }: Selection): readonly Check[] {
  return allChecks(burst).filter(
    ({ id, needs }) => !(skip.includes(id) && id !== authentic.id) && !(readOnly && needs === 'acceptance')
  )
}

/**
 * Runs the selected checks against an endpoint: first, one by one, those that the others depend on; then, unless they
 * have found a root cause that explains everything, the others in parallel, except those that must run alone. Ends
 * within `RUN_LIMIT_MS`, whatever the endpoint does.
 *
 * @param onResult called after each check, for a progress display
 * @throws UnreachableError if there is no connection at all
 */
export async function runChecks(
  options: EndpointOptions,
  selection: Selection = {},
  onResult: (result: Result, done: number, count: number) => void = () => {}
): Promise<Report> {
  const startedMs = performance.now()
  const endpoint = new Endpoint(options)
  const checks = selectChecks(selection)
  const results = new Map<string, Result>()
  const soFar = (): readonly Result[] => [...results.values()]
  const run = async (check: Check): Promise<void> => {
    const result = await runCheck(check, endpoint, soFar())
    results.set(check.id, result)
    onResult(result, results.size, checks.length)
  }

  const isOther = (check: Check): boolean => !isReach(check) && !isGate(check) && check.area !== 'answers'
  const others = checks.filter(isOther)
  let rootCause: RootCause | undefined
  for (const step of [checks.filter(isReach), checks.filter(isGate)]) {
    for (const check of step) {
      await run(check)
      throwIfUnreachable(endpoint)
    }
    rootCause = rootCauseOf(endpoint, soFar())
    if (rootCause?.stops === true) break
  }
  if (rootCause?.stops !== true) {
    endpoint.state.limit = new RequestLimit(singleAnswerMs(endpoint))
    await runInParallel(others.filter(({ alone }) => alone !== true))
    endpoint.state.limit = undefined
    for (const check of others.filter(({ alone }) => alone === true)) await run(check)
  }
  for (const check of checks.filter(({ area }) => area === 'answers')) await run(check)

  const listed = checks.map(check => results.get(check.id) ?? notRun(check))
  return {
    url: options.url.href,
    readOnly: selection.readOnly ?? false,
    remoteAddress: endpoint.remoteAddress,
    rootCause: rootCause ?? timeLimitCause(listed),
    results: listed,
    durationMs: performance.now() - startedMs
  }

  /** Each check starts as soon as the checks of its `after` are done. */
  async function runInParallel(parallel: readonly Check[]): Promise<void> {
    const pending = new Map<string, Promise<void>>()
    for (const check of parallel) {
      const earlier = (check.after ?? []).map(id => pending.get(id))
      pending.set(
        check.id,
        Promise.all(earlier).then(() => run(check))
      )
    }
    await Promise.all(pending.values())
  }
}

/**
 * - `pass`: no check failed, and the important ones were possible
 * - `fail`: at least one check failed
 * - `skip`: no check failed, but the important ones were not possible
 */
export type Verdict = 'pass' | 'fail' | 'skip'

/**
 * The important checks are that authentic deliveries are accepted, and forged ones refused for their signature. If the
 * endpoint refuses the doctor's address, neither can be checked, and the absence of faults proves nothing.
 */
export function verdictOf({ results, rootCause }: Report): Verdict {
  if (results.some(({ status }) => status === 'fail')) return 'fail'
  if (rootCause?.stops === true) return 'skip'
  const baseline = results.find(({ check }) => check.id === authentic.id)
  const signatures = results.filter(({ check }) => check.area === 'signature')
  const allSkipped = signatures.length > 0 && signatures.every(({ status }) => status === 'skip')
  return baseline?.status === 'skip' || allSkipped ? 'skip' : 'pass'
}

/** Whether there is an endpoint that can receive deliveries. */
const isReach = ({ area }: Check): boolean => area === 'reach'
/** Checks whose failure most others would repeat. They run one by one, so their answer times count. */
const isGate = ({ id }: Check): boolean => ['no-signature', 'wrong-key', 'replay'].includes(id)

function throwIfUnreachable({ exchanges, url }: Endpoint): void {
  const reply = exchanges[0]?.reply
  if (reply?.kind === 'none' && reply.reason === 'unreachable') {
    throw new UnreachableError(`cannot connect to ${url.origin} (${reply.code})`)
  }
}

const singleAnswerMs = ({ exchanges }: Endpoint): number =>
  Math.max(0, ...exchanges.filter(({ timed }) => timed).map(({ reply }) => reply.durationMs))

async function runCheck(check: Check, endpoint: Endpoint, earlier: readonly Result[]): Promise<Result> {
  const startedMs = performance.now()
  const finding =
    findWithoutRunning(check, endpoint, earlier) ??
    // A check that is not finished when the run ends is skipped; its requests end soon afterwards.
    (await withTimeout(endpoint.state.remainingMs, check.run(endpoint.forCheck(check.id)))) ??
    skip(OUT_OF_TIME)
  return {
    check,
    ...finding,
    requests: endpoint.exchanges.filter(exchange => exchange.check === check.id).length,
    durationMs: performance.now() - startedMs
  }
}

/** Why a check need not run; `undefined` if it must. */
function findWithoutRunning(
  check: Check,
  endpoint: Endpoint,
  earlier: readonly Result[]
): Finding | undefined {
  if (check.area === 'answers') return undefined
  const cause = earlier.find(result => result.status === 'fail' && check.after?.includes(result.check.id))
  if (cause !== undefined) return skip(`It would only repeat ${cause.check.id}.`)
  if (check.needs === 'acceptance' && check.id !== authentic.id && endpoint.state.baseline !== 'accepted') {
    return skip(NOT_ACCEPTED)
  }
  return endpoint.state.remainingMs === 0 ? skip(OUT_OF_TIME) : undefined
}

const notRun = (check: Check): Result => ({ check, ...skip(NOT_RUN), requests: 0, durationMs: 0 })

function timeLimitCause(results: readonly Result[]): RootCause | undefined {
  const unfinished = results.filter(({ observed }) => observed === OUT_OF_TIME).length
  if (unfinished === 0) return undefined
  const observed = `The endpoint answers so slowly that ${unfinished} checks could not finish in time.`
  return { cause: 'time_limit', observed, stops: true }
}
