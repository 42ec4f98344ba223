// Tested by test/redis/failure.slow.test.ts and test/redis/durability.slow.test.ts.
import { createIncident } from '../async/incident.ts'
import { createPollingLoop } from '../async/poll.ts'
import { formatDuration } from '../duration.ts'
import type { UnavailableError } from '../errors.ts'
import { errorCause } from '../redis/causes.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { Failures, RedisFailure } from '../redis/failure.ts'
import { connectedReplicas } from '../redis/replicas.ts'
import type { ServerFacts } from '../redis/server-facts.ts'
import type { Durability } from '../settings/parse.ts'
import type { Logger } from './logger.ts'

/** What is wrong with Redis, in words. */
export interface RedisProblem {
  readonly summary: string
  /** Of an outage, and where Redis refuses to write. */
  readonly failure?: RedisFailure
}

/** Turns the failures of Redis, two per second and each failed append, into the few that are worth a log line. */
export interface RedisReport {
  /** Redis does not answer, or still does not. */
  fail(error?: unknown): void
  /** Redis is up. */
  up(facts: ServerFacts | undefined): void
  /** An append failed while Redis is up: PING does not show that it refuses to write. */
  refused(error: UnavailableError): void
  /** `undefined` if deliveries can be kept, as far as is known. */
  problem(): RedisProblem | undefined
  stop(): void
}

interface RedisReportOptions {
  readonly redis: RedisClient
  readonly failures: Failures
  readonly durability: Durability
  readonly log: Logger
}

/** How long a refused append counts as a problem that lasts. */
const REFUSAL_VALID_MS = 60_000
/** How often the replicas are counted, with DURABILITY=replicated. */
const REPLICA_CHECK_MS = 5000

export function createRedisReport({ redis, failures, durability, log }: RedisReportOptions): RedisReport {
  const outage = createIncident()
  const refusals = createIncident()
  const missingReplicas = createIncident()
  const wantedReplicas = durability.level === 'replicated' ? durability.replicas : 0
  const replicaLoop = createPollingLoop(checkReplicas, REPLICA_CHECK_MS)
  let isDown = false
  let describing = false
  let failure: RedisFailure | undefined
  let refusal: { readonly failure: RedisFailure; readonly atMs: number } | undefined
  let replicas: number | undefined

  return {
    fail: error => {
      isDown = true
      if (!describing) void describeOutage(error)
    },
    up,
    refused: error => void describeRefusal(error),
    problem,
    stop: () => void replicaLoop.stop()
  }

  async function describeOutage(error: unknown): Promise<void> {
    describing = true
    const { address, cause } = await failures.describe(error)
    describing = false
    // Redis came back meanwhile, or is about to: on a busy machine, the first replies take a while.
    if (!isDown || failures.isConnecting()) return
    failure = { address, cause }
    const durationMs = outage.report(cause)
    if (durationMs === undefined) return
    const downSeconds = Math.round(durationMs / 1000)
    const lasting = durationMs < 1000 ? '' : ` for ${formatDuration(durationMs)}`
    log.error(
      { address, cause, downSeconds },
      `cannot reach Redis at ${address}${lasting}: ${cause}; deliveries get 503 until it is back`
    )
  }

  function up(facts: ServerFacts | undefined): void {
    isDown = false
    failure = undefined
    const durationMs = outage.resolve()
    const fields = { redis: facts, durability: durability.level }
    if (durationMs === undefined) log.info(fields, 'Redis is up')
    else {
      const downSeconds = Math.round(durationMs / 1000)
      log.info({ ...fields, downSeconds }, `Redis is up again after ${formatDuration(durationMs)}`)
    }
    if (wantedReplicas > 0) replicaLoop.runNow()
  }

  async function describeRefusal({ cause: error }: UnavailableError): Promise<void> {
    const known = errorCause(error)
    if (known === undefined || (refusal?.failure.cause === known && isRecent(refusal))) return
    const { address, cause } = await failures.describe(error)
    refusal = { failure: { address, cause }, atMs: performance.now() }
    const durationMs = refusals.report(cause)
    if (durationMs === undefined) return
    log.error(
      { address, cause },
      `Redis at ${address} refuses to keep events: ${cause}; their deliveries get 503`
    )
  }

  /** Never rejects. If Redis does not answer, that is reported as an outage. */
  async function checkReplicas(): Promise<void> {
    replicas = await connectedReplicas(redis).catch(() => undefined)
    if (replicas === undefined || replicaLoop.isStopped) return
    if (replicas >= wantedReplicas) {
      if (missingReplicas.resolve() !== undefined) log.info({ replicas }, 'Redis has enough replicas again')
    } else if (missingReplicas.report(String(replicas)) !== undefined) {
      log.warn(
        { replicas, wanted: wantedReplicas },
        `${replicaProblem(replicas)}; connect more replicas, or lower n in DURABILITY=replicated:n`
      )
    }
  }

  function replicaProblem(connected: number): string {
    return `DURABILITY=replicated:${wantedReplicas} needs more replicas than Redis has connected (${connected}): deliveries get 503`
  }

  function problem(): RedisProblem | undefined {
    if (isDown) return { summary: 'Redis is down', ...(failure && { failure }) }
    if (refusal !== undefined && isRecent(refusal)) {
      return { summary: 'Redis refuses to keep events', failure: refusal.failure }
    }
    return replicas !== undefined && replicas < wantedReplicas
      ? { summary: replicaProblem(replicas) }
      : undefined
  }
}

const isRecent = ({ atMs }: { readonly atMs: number }): boolean => performance.now() - atMs < REFUSAL_VALID_MS
