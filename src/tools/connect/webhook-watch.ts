import { createPollingLoop } from '../../async/poll.ts'
import type { AppApi } from '../../customerio/app-api.ts'
import { ReportedError } from '../../errors.ts'
import type { Logger } from '../../ops/logger.ts'
import type { Metrics } from '../../ops/metrics.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { serverTime } from '../../redis/server-time.ts'
import { adviceOn } from './advice.ts'
import { checkConnections, connectionsOf } from './check-connections.ts'
import { connectionKeys } from './connections.ts'
import { readCheck, type StoredCheck, writeCheck } from './stored-check.ts'

interface WebhookWatchOptions {
  readonly api: AppApi
  readonly redis: RedisClient
  readonly keyPrefix: string
  /** Names of the configured sources. */
  readonly sources: readonly string[]
  readonly consumers: readonly { readonly types?: readonly string[] | undefined }[]
  readonly isRedisUp: () => boolean
  readonly metrics: Pick<Metrics, 'webhooks'>
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
}

/** Checks the webhooks that were connected, once for all replicas. */
interface WebhookWatch {
  start(): void
  /** Shows the last check, and checks again if it is too old. Never rejects. */
  refresh(): Promise<void>
  stop(): Promise<void>
}

type Check = StoredCheck['checks'][number]

/** How often a replica reads the last check, varied by a quarter. */
const REFRESH_MS = 60_000
const MAX_AGE_MS = 5 * 60_000
/** How long the replica that asks keeps the others from asking, if it is killed meanwhile. */
const ASKING_MS = 5 * 60_000
const REPEAT_MS = 60 * 60_000

export function createWebhookWatch(options: WebhookWatchOptions): WebhookWatch {
  const { api, redis, keyPrefix, sources, consumers, isRedisUp, metrics, log } = options
  const keys = connectionKeys(keyPrefix)
  const stopping = new AbortController()
  const loop = createPollingLoop(refresh, () => REFRESH_MS * (0.75 + Math.random() / 2))
  return {
    start: loop.runNow,
    refresh,
    stop: () => {
      stopping.abort()
      return loop.stop()
    }
  }

  async function refresh(): Promise<void> {
    if (!isRedisUp()) return
    try {
      const last = await readCheck(redis, keyPrefix)
      if (last !== undefined) metrics.webhooks(last.checks)
      const nowMs = await serverTime(redis)
      if (last !== undefined && nowMs - last.at < MAX_AGE_MS) return
      if ((await redis.set(keys.asking, '1', 'PX', ASKING_MS, 'NX')) !== 'OK') return
      await checkNow(last?.checks ?? [], nowMs).finally(() => redis.del(keys.asking))
    } catch (error) {
      if (stopping.signal.aborted) return
      log.warn({ err: error }, 'the last check of the reporting webhook could not be read or stored in Redis')
    }
  }

  async function checkNow(last: readonly Check[], nowMs: number): Promise<void> {
    const checks = (await check(last)).map(each => report(each, last, nowMs))
    metrics.webhooks(checks)
    await writeCheck(redis, keyPrefix, { at: nowMs, checks })
  }

  async function check(last: readonly Check[]): Promise<readonly Check[]> {
    const checks = await checkAll()
    return checks.map(check => {
      const known = last.find(({ source }) => source === check.source)
      // A webhook that was disabled is probably still disabled.
      const isProblem = known !== undefined && known.state !== 'ok' && known.state !== 'unchecked'
      return check.state === 'unchecked' && isProblem ? known : check
    })
  }

  async function checkAll(): Promise<readonly Check[]> {
    try {
      const signal = stopping.signal
      return await checkConnections({ api, redis, keyPrefix, sources, consumers, now: Date.now, signal })
    } catch (error) {
      if (!(error instanceof ReportedError)) throw error
      const connections = await connectionsOf(options)
      return connections.map(connection => ({ ...connection, state: 'unchecked', problem: error.message }))
    }
  }

  /** Logs a change at once, and a problem that lasts every hour. */
  function report(check: Check, last: readonly Check[], nowMs: number): Check {
    const { source, endpoint, webhook, events, state, problem } = check
    const known = last.find(each => each.source === source)
    const isChange = known?.state !== state || known.problem !== problem
    const advice = adviceOn(check)
    const shown = { source, endpoint, webhook, events, state, problem }
    if (advice === undefined) {
      if (known !== undefined && isChange) {
        log.info({ source, webhook, endpoint }, 'the reporting webhook is as it should be again')
      }
      return shown
    }
    const { loggedAt } = known ?? {}
    if (!isChange && loggedAt !== undefined && nowMs - loggedAt < REPEAT_MS) return { ...shown, loggedAt }
    const { severity, consequence, fix } = advice
    log[severity === 'error' ? 'error' : 'warn'](
      { source, webhook, endpoint, state, consequence, fix },
      `reporting webhook at Customer.io: ${problem}`
    )
    return { ...shown, loggedAt: nowMs }
  }
}
