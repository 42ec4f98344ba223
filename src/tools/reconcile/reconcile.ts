import { pause } from '../../async/backoff.ts'
import { type AppApi, unexpectedAnswer } from '../../customerio/app-api.ts'
import { listMessages } from '../../customerio/messages.ts'
import { ReportedError } from '../../errors.ts'
import type { EventLog } from '../../log/append.ts'
import { forgetFilled, type MessageIndex, messageIndexSince } from '../../log/message-index.ts'
import { publishedPartitions } from '../../log/partition.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { Source } from '../../settings/sources.ts'
import { type CompareOptions, compareMessages, eventsOf } from './compare.ts'
import { eventsOfWebhook } from './expected-events.ts'
import { addMissing, countMissing, fillMissing, MAX_WAITING } from './fill.ts'
import { clearProgress, type Progress, reconcileLock, saveProgress } from './progress.ts'
import { sentUntil } from './queue-position.ts'
import { emptyReport, type Report } from './report.ts'

export interface ReconcileOptions {
  readonly redis: RedisClient
  readonly keyPrefix: string
  readonly api: AppApi
  readonly index: MessageIndex
  /** RECONCILE_DAYS, in milliseconds. */
  readonly indexMs: number
  readonly source: Source
  readonly eventLog: EventLog
  /** How many missing events are appended per second. */
  readonly eventsPerSecond: number
  readonly signal: AbortSignal
  /** Unix milliseconds. */
  readonly now: () => number
  /** @param share from 0 to 1, as far as it is known */
  readonly onProgress: (step: string, share: number) => void
  /** How long another comparison is waited for. */
  readonly lockWaitMs: number
}

export interface Reconciled {
  readonly report: Report
  /** From when on events could be checked, in Unix milliseconds. */
  readonly indexSinceMs: number
  /** False if the signal ended it: the next run can continue. */
  readonly isFinished: boolean
}

/** Replicas are replaced one after the other: those without the index may append for as long after it began. */
const ROLLOUT_MS = 15 * 60 * 1000
const RENEW_MS = 10_000
const LOCK_POLL_MS = 500
/** 72 bits: two messages of 1000 have the same with a probability of less than one in a quadrillion. */
const PAGE_DIGEST_LENGTH = 12

/** Also for a command that finds no index before it starts. */
export const NO_MESSAGE_INDEX =
  'there is no message index yet: the service opens it within a minute after its start, if CIO_APP_API_KEY is set for every replica, and PII_HASH_KEY is the same here'
const INDEX_STARTED_AGAIN =
  'the message index started again during this comparison, so what arrived before is not in it: set CIO_APP_API_KEY and the same PII_HASH_KEY for every replica, and start cio-webhook reconcile again'

/** @param range in Unix seconds: when messages were created */
export function newProgress(
  range: { readonly fromSeconds: number; readonly toSeconds: number },
  about: Pick<Progress, 'runner' | 'source' | 'fill' | 'startedAtMs'>
): Progress {
  return { ...range, ...about, pageBefore: [], isListed: false, report: emptyReport() }
}

/**
 * Compares the messages that Customer.io lists with what was appended, and appends what is missing if `fill` is set.
 *
 * @param progress of a new comparison, or of an interrupted one
 * @throws AppApiError, UnavailableError and ReportedError; the comparison can be continued. Also the error of Redis
 */
export async function reconcile(options: ReconcileOptions, progress: Progress): Promise<Reconciled> {
  const { redis, keyPrefix } = options
  const lock = reconcileLock(redis, keyPrefix)
  const waitUntilMs = performance.now() + options.lockWaitMs
  while (!(await lock.acquireOrRenew())) {
    if (performance.now() < waitUntilMs && !options.signal.aborted) {
      await pause(LOCK_POLL_MS, options.signal)
      continue
    }
    throw new ReportedError(
      'another cio-webhook reconcile, or the service, is comparing: try again in a minute'
    )
  }
  const renewal = setInterval(() => void lock.acquireOrRenew().catch(() => {}), RENEW_MS)
  try {
    return await run(options, progress, () => lock.mayStillHold())
  } finally {
    clearInterval(renewal)
    // The service starts anew each time: the events that wait would only use memory, perhaps the last that Redis has.
    if (progress.runner === 'service' && lock.mayStillHold())
      await clearProgress(redis, keyPrefix, 'service').catch(() => {})
    await lock.release().catch(() => {})
  }
}

async function run(
  options: ReconcileOptions,
  begun: Progress,
  holdsLock: () => boolean
): Promise<Reconciled> {
  const { redis, keyPrefix, api, source, signal, now, onProgress } = options
  const { runner } = begun
  if (begun.cursor === undefined && !begun.isListed) await clearProgress(redis, keyPrefix, runner)
  const compared = await prepare(options)
  let indexSinceMs = await completeSince()
  let progress = begun
  let firstCreated: number | undefined
  const pageDigest = (id: string): string => options.index.digestOf(id, 'page').slice(0, PAGE_DIGEST_LENGTH)
  const cursors = new Set<string | undefined>([begun.cursor])

  while (!progress.isListed && !signal.aborted) {
    const page = await unlessAborted(
      listMessages(api, { ...progress, cursor: progress.cursor }, signal),
      signal
    )
    if (page === undefined) break
    if (page.next !== undefined && cursors.has(page.next)) {
      throw unexpectedAnswer(api, 'a cursor of the list of messages leads back to a page before')
    }
    cursors.add(page.next)
    const report = structuredClone(progress.report)
    report.notChecked.unreadable += page.unreadable
    indexSinceMs = await completeSince()
    const before = new Set(progress.pageBefore)
    const missing = await compareMessages(
      { ...compared, indexSinceMs },
      page.messages.filter(({ id }) => !before.has(pageDigest(id))),
      report,
      await sentUntil(redis, keyPrefix, source.name, now())
    )
    const events = progress.fill ? await eventsOf(missing, source) : []
    await checkRight()
    // First the events, then the cursor behind them: after an interruption the page is compared again.
    if (progress.fill) await addMissing(redis, keyPrefix, runner, events)
    const isListed = page.next === undefined
    const pageBefore = isListed ? [] : page.messages.map(({ id }) => pageDigest(id))
    await save({ ...progress, cursor: page.next, pageBefore, isListed, report })
    firstCreated ??= page.messages[0]?.created ?? undefined
    onProgress(`${report.messages.toLocaleString('en-US')} messages`, shareOf(page.messages.at(-1)?.created))
    if (progress.fill && (await countMissing(redis, keyPrefix, runner)) >= MAX_WAITING) await fill()
  }
  if (progress.fill && !signal.aborted) {
    await fill()
    for (const keys of compared.partitions) await forgetFilled(redis, keys, now())
  }
  const isFinished = progress.isListed && !signal.aborted
  if (isFinished) await clearProgress(redis, keyPrefix, runner)
  return { report: progress.report, indexSinceMs, isFinished }

  async function fill(): Promise<void> {
    const total = await countMissing(redis, keyPrefix, runner)
    let handled = 0
    await fillMissing({
      ...options,
      runner,
      source: source.name,
      beforeAppend: checkRight,
      onFilled: async ({ appended, duplicates }) => {
        const { report } = progress
        handled += appended + duplicates
        onProgress(
          `${handled.toLocaleString('en-US')} of ${total.toLocaleString('en-US')} filled`,
          handled / total
        )
        await save({
          ...progress,
          report: { ...report, filled: report.filled + appended, arrived: report.arrived + duplicates }
        })
      }
    })
  }

  async function save(next: Progress): Promise<void> {
    progress = next
    await saveProgress(redis, keyPrefix, next)
  }

  /** An event that is added or appended without the lock or the index could be in the log twice. */
  async function checkRight(): Promise<void> {
    await completeSince()
    if (holdsLock()) return
    throw new ReportedError('Redis was away for too long: continue with cio-webhook reconcile --resume')
  }

  /** From when on the index is complete. It forgets whole generations, and a comparison can take hours. */
  async function completeSince(): Promise<number> {
    const sinceMs = await messageIndexSince(redis, compared.partitions, options.index)
    if (sinceMs === undefined) throw new ReportedError(NO_MESSAGE_INDEX)
    if (sinceMs > begun.startedAtMs) {
      await clearProgress(redis, keyPrefix, runner)
      throw new ReportedError(INDEX_STARTED_AGAIN)
    }
    return Math.max(sinceMs, now() - options.indexMs) + ROLLOUT_MS
  }

  /** The list is in order of creation, in one direction or the other. */
  function shareOf(created: number | null | undefined): number {
    const { fromSeconds, toSeconds } = progress
    return Math.abs((created ?? 0) - (firstCreated ?? created ?? 0)) / Math.max(1, toSeconds - fromSeconds)
  }
}

async function prepare(options: ReconcileOptions): Promise<Omit<CompareOptions, 'indexSinceMs'>> {
  const { redis, keyPrefix, index, source, signal } = options
  return {
    redis,
    partitions: await publishedPartitions(redis, keyPrefix),
    index,
    source,
    webhookEvents: await unlessAborted(eventsOfWebhook(options), signal)
  }
}

/** Resolves with `undefined` instead of rejecting once the signal is aborted: the comparison is interrupted, not failed. */
const unlessAborted = <T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> =>
  work.catch(error => {
    if (signal.aborted) return undefined
    throw error
  })
