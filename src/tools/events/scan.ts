// Tested by test/tools/events/search.slow.test.ts.
import { setTimeout as sleep } from 'node:timers/promises'
import type { RedisClient } from '../../redis/connect.ts'
import { loadScript, runScript } from '../../redis/script.ts'

/** What an entry has to contain. It is compared as text, so an entry that contains it may still not match. */
export interface ScanFilter {
  /** Texts of which the type contains at least one; none: every type. */
  readonly types: readonly string[]
  /** Lists of texts: the event contains at least one of each list. */
  readonly texts: readonly (readonly string[])[]
}

/** An entry as a scan returns it: id, type, event. */
type FoundEntry = readonly [id: string, type: string, event: string]

interface ScanStep {
  readonly walked: number
  /** Ids of the newest and the oldest entry that was walked; '' if there was none. */
  readonly newest: string
  readonly oldest: string
  readonly isDone: boolean
  readonly entries: readonly FoundEntry[]
}

/** How long one call may block Redis: a delivery that arrives meanwhile waits for so long at most. */
const STEP_MICROSECONDS = 1000
/** After each step, Redis and this process are free of searches for this part of the time that the step took. */
const PAUSE_SHARE = 0.65
const MAX_PAUSE_MS = 20
/** Matching entries per call. */
const MAX_ENTRIES = 500

/** Searches of this process take turns, step by step: so a short one does not wait for the end of a long one. */
let lastStep: Promise<unknown> = Promise.resolve()
let nextStepAtMs = 0

const scanScript = loadScript(new URL('scan.lua', import.meta.url))

/**
 * One step of a walk through a stream, from newer to older entries: about 1 ms of Redis' time. Steps run one at a time
 * per process, with a pause after each, however many searches there are.
 *
 * @param range ids or their milliseconds, `+`, `-`, or `(<id>` without that entry
 * @param count the most entries to return
 * @throws the error of Redis
 */
export async function scanStep(
  redis: RedisClient,
  stream: string,
  range: { readonly newest: string; readonly oldest: string },
  filter: ScanFilter,
  count: number
): Promise<ScanStep> {
  const args = [
    range.newest,
    range.oldest,
    STEP_MICROSECONDS,
    Math.min(count, MAX_ENTRIES),
    JSON.stringify(filter)
  ]
  const reply = await paced(() => runScript(redis, scanScript, [stream], args))
  const [walked, newest, oldest, done, entries] = reply as [number, string, string, string, FoundEntry[]]
  return { walked, newest, oldest, isDone: done === '1', entries }
}

function paced<T>(run: () => Promise<T>): Promise<T> {
  const step = lastStep.then(async () => {
    const waitMs = nextStepAtMs - performance.now()
    if (waitMs > 0) await sleep(waitMs)
    const startedMs = performance.now()
    try {
      return await run()
    } finally {
      const endedMs = performance.now()
      nextStepAtMs = endedMs + Math.min(MAX_PAUSE_MS, (endedMs - startedMs) * PAUSE_SHARE)
    }
  })
  lastStep = step.catch(() => {})
  return step
}
