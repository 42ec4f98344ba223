// Tested by test/cli/events/command.slow.test.ts.
import { formatDuration, isoTime } from '../../duration.ts'
import { eventName } from '../../event-types.ts'
import { stringifyExactly } from '../../exact-json.ts'
import { formatPosition } from '../../log/position.ts'
import type { StreamEntry } from '../../log/read-range.ts'
import type { ConsumerPath } from '../../tools/events/consumer-path.ts'
import { eventJson, foundEventJson } from '../../tools/events/event-json.ts'
import type { EventPath } from '../../tools/events/event-path.ts'
import type { FoundEvents } from '../../tools/events/walk-log.ts'
import { eventId, timeOf } from '../consumers/report.ts'
import { table } from '../table.ts'
import { terminalSafe } from '../terminal.ts'

/** One line for an event of the list. */
export function eventLine(entry: StreamEntry, json: boolean): string {
  if (json) return `${stringifyExactly(foundEventJson(entry))}\n`
  const { partition, id, type, event } = entry
  const name = terminalSafe(eventName(type)).padEnd(24)
  return `${timeOf(id)}  ${formatPosition(partition, id)}  ${name}  ${terminalSafe(eventId(event) ?? '-')}\n`
}

/** Why nothing was found: how much was searched, and what to check. */
export function nothingFound(
  { searched, oldestMs, newestMs, isIndexed }: FoundEvents,
  hint: string | undefined
): string {
  if (oldestMs === undefined || newestMs === undefined) {
    if (isIndexed) return 'no events match: by the dedupe index, the log has no such id in this time range'
    return 'no events match: the log has none in this time range'
  }
  const events = `${searched.toLocaleString('en-US')} ${searched === 1 ? 'event' : 'events'}`
  const range = `received ${formatTime(oldestMs)} to ${formatTime(newestMs)}`
  return `no events match; searched ${events}, ${range}${hint === undefined ? '' : `. ${hint}`}`
}

/** What to check if an event id is not found. */
export const unknownEvent = (id: string, retention: string): string =>
  `no event ${terminalSafe(JSON.stringify(id))} in the log or among the dead letters. Check the id (an event of another source: <source>/<id>). Events older than ${retention} are trimmed once every consumer has acknowledged them (EVENT_RETENTION_SECONDS). A repeated id within the dedupe window is appended once, at its first delivery`

export const pathsText = (paths: readonly EventPath[], nowMs: number): string =>
  paths.map(path => pathText(path, nowMs)).join('\n')

function pathText(path: EventPath, nowMs: number): string {
  const json = eventJson(path.event)
  const attribute = (name: string): string => {
    const value =
      typeof json === 'object' && json !== null ? new Map(Object.entries(json)).get(name) : undefined
    return typeof value === 'string' ? terminalSafe(value) : '-'
  }
  const lines = [
    `event     ${terminalSafe(path.id)}`,
    `type      ${terminalSafe(eventName(path.type))}`,
    `source    ${terminalSafe(path.source)}`,
    `customer  ${attribute('subject')}`,
    `happened  ${attribute('time')}`,
    `received  ${attribute('receivedtime')}`,
    `appended  ${formatTime(path.appendedAtMs)}`,
    `position  ${path.position}${path.isTrimmed ? ' (no longer in the log: this is the copy of a dead letter)' : ''}`,
    '',
    ...stringifyExactly(json, 2).split('\n').map(terminalSafe),
    ''
  ]
  return `${lines.join('\n')}\n${consumersText(path.consumers, nowMs)}`
}

function consumersText(consumers: readonly ConsumerPath[], nowMs: number): string {
  if (consumers.length === 0) return 'no consumer reads the log\n'
  const states = table(consumers, [
    { heading: 'CONSUMER', value: ({ consumer }) => consumer },
    { heading: 'STATE', value: ({ state }) => state },
    { heading: 'DETAILS', value: consumer => details(consumer, nowMs) }
  ])
  const attempts = consumers.flatMap(consumer => consumer.attempts)
  if (attempts.length === 0) return states
  const newestFirst = [...attempts].sort((a, b) => b.atMs - a.atMs)
  return `${states}\n${table(newestFirst, [
    { heading: 'ATTEMPT AT', value: ({ atMs }) => formatTime(atMs) },
    { heading: 'CONSUMER', value: ({ consumer }) => consumer },
    { heading: 'ATTEMPT', value: ({ attempt }) => attempt },
    { heading: 'OUTCOME', value: ({ outcome }) => outcome },
    { heading: 'ANSWER', value: ({ answer }) => answer },
    { heading: 'MS', value: ({ durationMs }) => Math.round(durationMs) }
  ])}`
}

function details({ pending, waiting, deadLetter }: ConsumerPath, nowMs: number): string | undefined {
  if (pending !== undefined) {
    const { member, deliveries, idleMs } = pending
    return `with ${member} for ${formatDuration(idleMs)}, delivered ${times(deliveries)}`
  }
  if (waiting !== undefined) {
    const { attempts, nextAttemptAtMs } = waiting
    const next =
      nextAttemptAtMs === undefined ? 'now' : `in ${formatDuration(Math.max(0, nextAttemptAtMs - nowMs))}`
    return `failed ${times(attempts)}, next attempt ${next}`
  }
  if (deadLetter === undefined) return undefined
  const { letter, reason, error, attempts } = deadLetter
  return `${letter}: ${reason} after ${attempts} ${attempts === 1 ? 'attempt' : 'attempts'}: ${error}`
}

const times = (count: number): string => (count === 1 ? 'once' : `${count} times`)

const formatTime = (ms: number): string => isoTime(ms) ?? '-'
