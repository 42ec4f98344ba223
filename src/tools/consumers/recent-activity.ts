// Tested by test/cli/consumers/command.slow.test.ts.
import { counted } from '../../counted.ts'
import type { ConsumerStatus } from '../../dispatch/consumer-status.ts'
import { formatDuration } from '../../duration.ts'

const DAY_MS = 24 * 60 * 60 * 1000

/** @returns why a consumer should not be removed, and what to do first; `undefined` if it was not active for a day */
export function recentActivity(
  { name, members, lag, pending, queued, lastActiveMs }: ConsumerStatus,
  nowMs: number
): string | undefined {
  if (members === 0 && (lastActiveMs === undefined || nowMs - lastActiveMs > DAY_MS)) return undefined
  const activity =
    lastActiveMs === undefined || members > 0
      ? `is active, with ${counted(members, 'member')}`
      : `was active ${formatDuration(nowMs - lastActiveMs)} ago`
  const unread = (lag ?? 0) + pending + queued
  const events = lag === undefined ? 'an unknown number of unread events' : counted(unread, 'unread event')
  const trimmed = unread === 0 && lag !== undefined ? '' : `, and ${events} may be trimmed`
  return `${name} ${activity}. Removing it deletes its position in the log${trimmed}; active members would create the group again. Stop them first, or take ${name} out of CONSUMERS_FILE`
}
