import { withTimeout } from '../async/abort.ts'
import type { RedisProblem, RedisReport } from '../ops/redis-report.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { Config } from '../settings/config.ts'
import type { Configuration } from '../settings/describe.ts'
import { describeRedis, type RedisAddress } from '../settings/redis-address.ts'
import type { Problem, StatusReport } from '../tools/status/facts.ts'
import { readStatus } from '../tools/status/read-status.ts'

/** The status of this process, which also knows what its own connection to Redis reports. */
export interface ConsoleStatus extends StatusReport {
  /** Why deliveries get 503 now, in one sentence; `undefined` if they can be kept. */
  readonly outage: string | undefined
}

interface StatusReaderOptions {
  readonly config: Pick<Config, 'production' | 'admission' | 'log' | 'dispatch' | 'describe' | 'sources'>
  readonly redis: RedisClient
  readonly redisAddress: RedisAddress
  readonly redisReport: Pick<RedisReport, 'problem'>
  readonly isRedisUp: () => boolean
  readonly now: () => number
}

/** A page must not hang while Redis does. */
const LIMIT_MS = 2500
/**
 * All pages and all people share one reading. It takes up to 80 ms of CPU in a process that also receives deliveries, so
 * live pages must not repeat it every time that they are drawn.
 */
const VALID_MS = 5000
/** The stores of secrets are not asked for every page: one can be behind the network. */
const CONFIGURATION_VALID_MS = 30_000
const CONFIGURATION_LIMIT_MS = 1000

/**
 * @returns a function that reads the status in at most 3.5 s. An outage is part of the status, and values in Redis that
 *   cannot be read, such as those of another version, are left out
 */
export function createStatusReader(options: StatusReaderOptions): () => Promise<ConsoleStatus> {
  const { config, redis, redisReport, isRedisUp, now } = options
  const redisAddress = describeRedis(options.redisAddress)
  const describe = shared(CONFIGURATION_VALID_MS, readConfiguration)
  return shared(VALID_MS, read)

  async function read(): Promise<ConsoleStatus> {
    const configuration = await describe()
    const inputs = { config, configuration, sources: [...config.sources.keys()], redisAddress, now }
    const down = (cause: string): Promise<StatusReport> =>
      readStatus({ ...inputs, redis: { address: redisAddress, cause } })
    const report = isRedisUp()
      ? ((await withTimeout(LIMIT_MS, readStatus({ ...inputs, redis }))) ??
        (await down(`it does not answer within ${LIMIT_MS / 1000} s`)))
      : await down(redisReport.problem()?.failure?.cause ?? 'it does not answer')
    if (report.redis.state === 'down') {
      return { ...report, outage: `Redis at ${report.redis.address}: ${report.redis.cause}` }
    }
    const problem = redisReport.problem()
    if (problem === undefined) return { ...report, outage: undefined }
    const others = report.problems.filter(({ id }) => id !== 'redis_refuses')
    return { ...report, outage: textOf(problem), problems: [refusing(problem), ...others] }
  }

  /** While a store does not answer, the ids of its keys are not shown. */
  async function readConfiguration(): Promise<Configuration> {
    const read = await withTimeout(
      CONFIGURATION_LIMIT_MS,
      config.describe().catch(() => undefined)
    )
    return read ?? { changed: [], secrets: [] }
  }
}

const textOf = ({ summary, failure }: RedisProblem): string =>
  failure === undefined ? summary : `${summary} (${failure.address}: ${failure.cause})`

/** Redis answers, but does not take events. The last append of this process says more than another process can see. */
const refusing = (problem: RedisProblem): Problem => ({
  id: 'redis_refuses',
  severity: 'error',
  summary: `${textOf(problem)}.`,
  consequence: 'Deliveries get 503, and Customer.io retries them for 7 days.',
  fix: 'the cause is in brackets; docs/troubleshooting.md explains it (Redis is not reachable)'
})

/** Reads at most once per `validMs`, and once at a time. A reading that failed is not kept. */
function shared<T>(validMs: number, read: () => Promise<T>): () => Promise<T> {
  let latest: { readonly value: Promise<T>; expiresMs: number } | undefined
  return () => {
    if (latest !== undefined && performance.now() < latest.expiresMs) return latest.value
    const reading = { value: read(), expiresMs: Number.POSITIVE_INFINITY }
    latest = reading
    reading.value.then(
      () => {
        reading.expiresMs = performance.now() + validMs
      },
      () => {
        latest = undefined // the caller gets the error
      }
    )
    return reading.value
  }
}
