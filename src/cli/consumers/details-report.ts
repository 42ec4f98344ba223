// Tested by test/cli/consumers/show.slow.test.ts.
import { counted } from '../../counted.ts'
import { formatDuration, isoTime } from '../../duration.ts'
import type { ConsumerDetails } from '../../tools/consumers/actions.ts'
import { stateSinceMs } from '../../tools/consumers/state-since.ts'
import { fieldList, table } from '../table.ts'

export function detailsText(
  { status, settings = {}, deadByReason, attempts }: ConsumerDetails,
  nowMs: number
): string {
  const when = (atMs: number | undefined): string | undefined =>
    atMs === undefined ? undefined : `${isoTime(atMs)} (${formatDuration(Math.max(0, nowMs - atMs))} ago)`
  const since = when(stateSinceMs(status))
  const reasons = Object.entries(deadByReason).map(([reason, count]) => `${count} ${reason}`)
  const { name, type, state, lag, pending, queued, oldestAgeMs, members, failures } = status
  const fields = fieldList([
    ['type', type],
    ['state', since === undefined ? state : `${state} since ${since}`],
    ['lag', lag === undefined ? 'unknown' : `${counted(lag, 'event')} not read`],
    ['pending', String(pending)],
    ['queue', String(queued)],
    ['oldest event', oldestAgeMs === undefined ? 'none waits' : `${formatDuration(oldestAgeMs)} old`],
    ['members', String(members)],
    ['last active', when(status.lastActiveMs)],
    ['last success', when(status.lastSuccessAtMs)],
    ['last failure', status.lastFailure && `${status.lastFailure}, ${when(status.lastFailureAtMs) ?? ''}`],
    ['failures', String(failures)],
    ['dead letters', status.dead === 0 ? '0' : `${status.dead}: ${reasons.join(', ')}`]
  ])
  const configured = fieldList(
    Object.entries(settings).map(([key, value]) => [
      key,
      value === undefined ? undefined : Array.isArray(value) ? value.join(', ') : String(value)
    ])
  )
  const settingsPart = configured === '' ? '' : `\nsettings\n${configured}\n`
  const attemptsPart = attempts.length === 0 ? '' : `\nnewest attempts\n${attemptsTable(attempts)}`
  return `${name}\n${fields}\n${settingsPart}${attemptsPart}`
}

const attemptsTable = (attempts: ConsumerDetails['attempts']): string =>
  table(attempts, [
    { heading: '  TIME', value: ({ atMs }) => `  ${isoTime(atMs)}` },
    { heading: 'EVENT', value: ({ eventId }) => eventId },
    { heading: 'ATTEMPT', value: ({ attempt }) => attempt },
    { heading: 'OUTCOME', value: ({ outcome }) => outcome },
    { heading: 'ANSWER', value: ({ answer }) => answer },
    { heading: 'MS', value: ({ durationMs }) => durationMs }
  ])
