import { addressChecks } from './address-checks.ts'
import { answerChecks } from './answer-checks.ts'
import { authentic } from './baseline-check.ts'
import { bodyChecks } from './body-checks.ts'
import { type Check, type Finding, NOT_ACCEPTED, NOT_RUN, OUT_OF_TIME, unjudged } from './check.ts'
import { oddityChecks } from './edge-case-checks.ts'
import { Endpoint, type EndpointOptions } from './endpoint.ts'
import { httpChecks } from './http-checks.ts'
import { onceChecks } from './idempotency-checks.ts'
import { RequestLimit } from './request-limit.ts'
import { type RootCause, rootCauseOf } from './root-cause.ts'
import { signatureChecks } from './signature-checks.ts'
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
  readonly rootCause: RootCause | undefined
  readonly results: readonly Result[]
  readonly durationMs: number
}

/** Nothing can be said of an endpoint that can't be reached. */
export class UnreachableError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'UnreachableError'
  }
}

const DEFAULT_BURST = 20

/** Every check, in the order of the report: what an authentic delivery meets comes first. */
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
 * Asks an endpoint every selected question. First those that the others depend on, one after the other; then, unless
 * they have found a root cause that says it all, those that can be asked at the same time, and those that can't.
 * Ends within `EXAMINATION_LIMIT_MS`, whatever the endpoint does.
 *
 * @param onResult called after each, for a progress display
 * @throws UnreachableError when there is no connection at all
 */
export async function examine(
  options: EndpointOptions,
  selection: Selection = {},
  onResult: (result: Result, done: number, count: number) => void = () => {}
): Promise<Examination> {
  const startedMs = performance.now()
  const endpoint = new Endpoint(options)
  const checks = selectChecks(selection)
  const results = new Map<string, Result>()
  const record = (result: Result): Result => {
    results.set(result.check.id, result)
    onResult(result, results.size, checks.length)
    return result
  }
  const now = (): readonly Result[] => [...results.values()]

  const [reach, gates] = [checks.filter(isReach), checks.filter(isGate)]
  const others = checks.filter(check => !isReach(check) && !isGate(check) && check.area !== 'answers')
  let rootCause: RootCause | undefined
  for (const step of [reach, gates]) {
    for (const check of step) {
      record(await ask(check, endpoint, now()))
      throwIfUnreachable(endpoint)
    }
    rootCause = rootCauseOf(endpoint, now())
    if (rootCause?.stops === true) break
  }
  if (rootCause?.stops !== true) {
    endpoint.state.limit = new RequestLimit(singleAnswerMs(endpoint))
    await askAtOnce(others.filter(({ alone }) => alone !== true))
    endpoint.state.limit = undefined
    for (const check of others.filter(({ alone }) => alone === true))
      record(await ask(check, endpoint, now()))
  }
  for (const check of checks.filter(({ area }) => area === 'answers'))
    record(await ask(check, endpoint, now()))

  const listed = checks.map(check => results.get(check.id) ?? notRun(check))
  return {
    url: options.url.href,
    readOnly: selection.readOnly ?? false,
    remoteAddress: endpoint.remoteAddress,
    rootCause: rootCause ?? timeLimitCause(listed),
    results: listed,
    durationMs: performance.now() - startedMs
  }

  /** A check is asked as soon as those are done that it would only repeat. */
  async function askAtOnce(parallel: readonly Check[]): Promise<void> {
    const pending = new Map<string, Promise<Result>>()
    for (const check of parallel) {
      const earlier = (check.after ?? []).map(id => pending.get(id))
      pending.set(
        check.id,
        Promise.all(earlier)
          .then(() => ask(check, endpoint, now()))
          .then(record)
      )
    }
    await Promise.all(pending.values())
  }
}

/** What has to be known before anything else makes sense: is there an endpoint, and is it fit for deliveries? */
const isReach = ({ area }: Check): boolean => area === 'reach'
/** The faults that most other checks would only repeat. Asked one by one, so their answers' times count. */
const isGate = ({ id }: Check): boolean => ['no-signature', 'wrong-key', 'replay'].includes(id)

function throwIfUnreachable({ heard, url }: Endpoint): void {
  const reply = heard[0]?.reply
  if (reply?.kind === 'none' && reply.reason === 'unreachable') {
    throw new UnreachableError(`${url.origin} can't be reached (${reply.code})`)
  }
}

const singleAnswerMs = ({ heard }: Endpoint): number =>
  Math.max(0, ...heard.filter(({ timed }) => timed).map(({ reply }) => reply.durationMs))

async function ask(check: Check, endpoint: Endpoint, earlier: readonly Result[]): Promise<Result> {
  const startedMs = performance.now()
  const finding =
    beforehand(check, endpoint, earlier) ??
    (await withinTime(endpoint.state.remainingMs, check.run(endpoint.forCheck(check.id))))
  return {
    check,
    ...finding,
    requests: endpoint.heard.filter(heard => heard.check === check.id).length,
    durationMs: performance.now() - startedMs
  }
}

/** A check that is not done when the examination ends has found nothing; its requests end soon afterwards. */
async function withinTime(remainingMs: number, finding: Promise<Finding>): Promise<Finding> {
  let timer: NodeJS.Timeout | undefined
  const end = new Promise<Finding>(resolve => {
    timer = setTimeout(() => resolve(unjudged(OUT_OF_TIME)), remainingMs)
  })
  try {
    return await Promise.race([finding, end])
  } finally {
    clearTimeout(timer)
  }
}

/** What is known before anything is sent: that it would say nothing. */
function beforehand(check: Check, endpoint: Endpoint, earlier: readonly Result[]): Finding | undefined {
  if (check.area === 'answers') return undefined
  const cause = earlier.find(result => result.status === 'wrong' && check.after?.includes(result.check.id))
  if (cause !== undefined) return unjudged(`It would only repeat ${cause.check.id}.`)
  if (check.needs === 'acceptance' && check.id !== authentic.id && endpoint.state.standing !== 'accepted') {
    return unjudged(NOT_ACCEPTED)
  }
  return endpoint.state.remainingMs === 0 ? unjudged(OUT_OF_TIME) : undefined
}

const notRun = (check: Check): Result => ({ check, ...unjudged(NOT_RUN), requests: 0, durationMs: 0 })

function timeLimitCause(results: readonly Result[]): RootCause | undefined {
  const unfinished = results.filter(({ saw }) => saw === OUT_OF_TIME).length
  if (unfinished === 0) return undefined
  const saw = `The endpoint answers so slowly that ${unfinished} checks could not be finished in time.`
  return { cause: 'time_limit', saw, stops: true }
}
