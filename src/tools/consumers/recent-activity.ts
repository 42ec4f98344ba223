// Tested by test/cli/consumers/command.slow.test.ts.
import type { ConsumerStatus } from '../../dispatch/consumer-status.ts'
import { formatDuration } from '../../duration.ts'

const DAY_MS = 24 * 60 * 60 * 1000

/** @returns why a consumer should not be removed, and what to do first; `undefined` if it was not active for a day */
export function recentActivity(
  { name, members, lag, pending, queued, lastActiveMs }: ConsumerStatus,
  nowMs: number
): string | undefined {
  if (members === 0 && (lastActiveMs === undefined || nowMs - lastActiveMs > DAY_MS)) return undefined
  const since =
    lastActiveMs === undefined || members > 0 ? 'now' : `${formatDuration(nowMs - lastActiveMs)} ago`
  const unread = (lag ?? 0) + pending + queued
  const events = lag === undefined ? 'an unknown number of' : String(unread)
  return `${name} was last active ${since} (${members} active members). Removing it deletes its position in the log, and its ${events} unread events may be trimmed; active members would create the group again. Stop them first, or take ${name} out of CONSUMERS_FILE`
}
