import { createPollingLoop } from '../../async/poll.ts'
import { objectTypes } from '../../event-types.ts'
import { messageIndexSince } from '../../log/message-index.ts'
import { publishedPartitions } from '../../log/partition.ts'
import type { Logger } from '../../ops/logger.ts'
import type { Metrics } from '../../ops/metrics.ts'
import { serverTime } from '../../redis/server-time.ts'
import { newProgress, type ReconcileOptions, reconcile } from './reconcile.ts'
import type { Report } from './report.ts'
import { readResult, type StoredResult, writeResult } from './result.ts'

interface ReconcileWatchOptions
  extends Omit<ReconcileOptions, 'signal' | 'onProgress' | 'lockWaitMs' | 'eventsPerSecond'> {
  readonly fill: boolean
  readonly isRedisUp: () => boolean
  readonly metrics: Pick<Metrics, 'missingEvents'>
  readonly log: Pick<Logger, 'info' | 'warn' | 'error'>
}

/** Compares the messages of the last day every hour, once for all replicas. */
interface ReconcileWatch {
  start(): void
  /** Shows the last result, and compares again if it is too old. Never rejects. */
  refresh(): Promise<void>
  stop(): Promise<void>
}

/** How often a replica reads the last result, varied by a quarter. */
const REFRESH_MS = 60_000
const MAX_AGE_MS = 60 * 60_000
/** A missing event is reported for a day. */
const LOOK_BACK_SECONDS = 24 * 60 * 60
const EVENTS_PER_SECOND = 200

const FIX = {
  report:
    'cio-webhook reconcile shows which, cio-webhook reconcile --fill appends them: docs/completeness.md',
  fill: 'the next run appends the rest'
}

export function createReconcileWatch(options: ReconcileWatchOptions): ReconcileWatch {
  const { redis, keyPrefix, fill, index, indexMs, source, isRedisUp, metrics, log } = options
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
      const last = await readResult(redis, keyPrefix)
      show(last)
      const nowMs = await serverTime(redis)
      if (last !== undefined && nowMs - last.at < MAX_AGE_MS) return
      // It begins a minute after the first start.
      const partitions = await publishedPartitions(redis, keyPrefix)
      if ((await messageIndexSince(redis, partitions, index)) === undefined) return
      await compare(last, nowMs)
    } catch (error) {
      if (stopping.signal.aborted) return
      log.warn({ err: error }, 'the comparison with Customer.io failed: the next one is in an hour')
    }
  }

  async function compare(last: StoredResult | undefined, nowMs: number): Promise<void> {
    // Also if it fails: the other replicas do not repeat it every minute.
    await writeResult(redis, keyPrefix, { at: nowMs, finished: last?.finished })
    const toSeconds = Math.floor(nowMs / 1000)
    const fromSeconds = Math.max(
      Math.ceil((nowMs - indexMs) / 1000),
      // What was in the queue then, and what happened while no replica compared, is compared again.
      Math.min(
        toSeconds - LOOK_BACK_SECONDS,
        last?.finished?.waitingSince ?? Infinity,
        last?.finished?.toSeconds ?? Infinity
      )
    )
    const progress = newProgress(
      { fromSeconds, toSeconds },
      { runner: 'service', source: source.name, fill, startedAtMs: nowMs }
    )
    const { report, isFinished } = await reconcile(
      {
        ...options,
        eventsPerSecond: EVENTS_PER_SECOND,
        signal: stopping.signal,
        onProgress: () => {},
        lockWaitMs: 0
      },
      progress
    )
    if (!isFinished) return
    const missing = missingByType(report)
    const finished = { at: nowMs, toSeconds, waitingSince: report.waitingSince, missing }
    await writeResult(redis, keyPrefix, { at: nowMs, finished })
    show({ at: nowMs, finished })
    logResult(report, missing)
  }

  function logResult(report: Report, missing: Readonly<Record<string, number>>): void {
    const { checked, waiting, filled } = report
    const events = Object.values(missing).reduce((sum, count) => sum + count, 0)
    if (events === 0) {
      log.info(
        { checked, waiting, filled },
        'compared with the messages that Customer.io lists: nothing is missing'
      )
      return
    }
    const fix = fill ? FIX.fill : FIX.report
    log.error(
      { checked, missing: events, waiting, filled, byObjectType: missing, fix },
      'events are missing: Customer.io lists them, and they never arrived'
    )
  }

  function show(result: StoredResult | undefined): void {
    if (result?.finished !== undefined) metrics.missingEvents(result.finished.missing)
  }
}

/** Names that Customer.io does not document are `unknown`: a label must be from a closed set. */
function missingByType({ byObjectType, filled, arrived }: Report): Record<string, number> {
  const missing: Record<string, number> = {}
  let handled = filled + arrived
  for (const [name, row] of Object.entries(byObjectType)) {
    const left = Math.max(0, row.missing - handled)
    handled -= row.missing - left
    const type = objectTypes.includes(name) ? name : 'unknown'
    if (left > 0) missing[type] = (missing[type] ?? 0) + left
  }
  return missing
}
