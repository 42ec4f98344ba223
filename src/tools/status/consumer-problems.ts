// Tested by test/tools/status/problems.test.ts.
import { counted } from '../../counted.ts'
import type { ConsumerStatus } from '../../dispatch/consumer-status.ts'
import { formatDuration } from '../../duration.ts'
import type { RemovedConsumer } from '../consumers/removed-consumers.ts'
import { stateSinceMs } from '../consumers/state-since.ts'
import type { Problem, StatusFacts } from './facts.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const HOUR_MS = 60 * 60 * 1000
/** A pause for a deployment takes less. */
const LONG_PAUSE_MS = HOUR_MS
/** A healthy consumer is rarely so far behind. */
const BEHIND_MS = 15 * 60 * 1000
/** A group without members is reported after this time. */
const ABANDONED_MS = DAY_MS

/** What the projection needs of the facts. */
type LogFacts = Pick<StatusFacts, 'redis' | 'partitions' | 'settings' | 'eventsPerHour'>

export function consumerProblems(facts: StatusFacts): readonly Problem[] {
  const { consumers, removedConsumers, atMs } = facts
  return [
    ...consumers.flatMap(consumer => stateProblem(consumer, atMs)),
    ...abandonedGroups(consumers, facts),
    ...consumers.filter(({ dead }) => dead > 0).map(deadLetters),
    ...removedConsumers.map(lettersOfRemoved)
  ]
}

function stateProblem(consumer: ConsumerStatus, atMs: number): readonly Problem[] {
  const { name, state, lastFailure, disabledReason, pausedAtMs, oldestAgeMs = 0 } = consumer
  switch (state) {
    case 'failing':
      return [
        {
          id: 'consumer_failing',
          severity: 'error',
          summary: `${name} has been failing${failureTimes(consumer, atMs)}: ${lastFailure ?? 'unknown reason'}.`,
          consequence: 'Its events wait and are retried; those without attempts left become dead letters.',
          fix: `cio-webhook consumers show ${name}: what it answers. After the repair: cio-webhook consumers test ${name}`
        }
      ]
    case 'disabled':
      return [
        {
          id: 'consumer_disabled',
          severity: 'error',
          summary: `${name} is disabled: ${disabledReason ?? 'it answered 410'}.`,
          consequence: 'It gets no events, and the log keeps all that it has not read.',
          fix: `cio-webhook consumers enable ${name}, or cio-webhook consumers remove ${name} if it is gone for good`
        }
      ]
    case 'paused':
      if (pausedAtMs === undefined || atMs - pausedAtMs < LONG_PAUSE_MS) return []
      return [
        {
          id: 'consumer_paused',
          severity: 'warning',
          summary: `${name} has been paused for ${formatDuration(atMs - pausedAtMs)}.`,
          consequence: 'It gets no events, and the log keeps all that it has not read.',
          fix: `cio-webhook consumers resume ${name}`
        }
      ]
    case 'no_members':
      return []
    case 'ok':
      if (oldestAgeMs < BEHIND_MS) return []
      return [
        {
          id: 'consumer_behind',
          severity: 'warning',
          summary: `${name} is behind: its oldest unprocessed event is ${formatDuration(oldestAgeMs)} old.`,
          consequence: 'It gets events late, and the log keeps them until then.',
          fix: 'add members or partitions, or make it faster: docs/consumers.md'
        }
      ]
  }
}

/** Since when, and how long ago the last attempt was: a retry can be an hour away. */
function failureTimes(consumer: ConsumerStatus, atMs: number): string {
  const { lastFailureAtMs } = consumer
  const sinceMs = stateSinceMs(consumer)
  if (sinceMs === undefined || lastFailureAtMs === undefined) return ''
  return ` for ${formatDuration(atMs - sinceMs)}, last attempt ${formatDuration(atMs - lastFailureAtMs)} ago`
}

const deadLetters = ({ name, dead }: ConsumerStatus): Problem => ({
  id: 'dead_letters',
  severity: 'warning',
  summary: `${name} has ${counted(dead, 'dead letter')}: events that it failed to process too often.`,
  consequence: 'It does not get them unless they are replayed.',
  fix: `cio-webhook consumers dead ${name} shows why; then cio-webhook consumers replay ${name} --all --rate N, N events per second`
})

const lettersOfRemoved = ({ name, dead }: RemovedConsumer): Problem => ({
  id: 'removed_dead_letters',
  severity: 'warning',
  summary: `${name} was removed, but it still has ${counted(dead, 'dead letter')}.`,
  consequence: 'They use memory of Redis. They can be replayed only if the consumer comes back.',
  fix: `cio-webhook consumers dead ${name} shows them; cio-webhook consumers drop ${name} --all deletes them`
})

/** Groups that nothing reads for, for at least a day. The service logs the same once per hour. */
function abandonedGroups(
  consumers: readonly Pick<ConsumerStatus, 'name' | 'state' | 'oldestAgeMs'>[],
  facts: LogFacts
): readonly Problem[] {
  const abandoned = consumers.filter(
    ({ state, oldestAgeMs = 0 }) => state === 'no_members' && oldestAgeMs >= ABANDONED_MS
  )
  const fullInMs = logFullInMs(facts)
  const until =
    fullInMs === undefined ? '' : `, in about ${formatDuration(fullInMs)} at the rate of the last day`
  return abandoned.map(({ name, oldestAgeMs = 0 }) => ({
    id: 'no_members',
    severity: fullInMs !== undefined && fullInMs < 7 * DAY_MS ? 'error' : 'warning',
    summary: `The consumer group ${name} has no members, and has not read for ${formatDuration(oldestAgeMs)}.`,
    consequence: `The log keeps all events that it has not read. When the log is full${until}, deliveries get 503.`,
    fix: `start a member of ${name}, or delete the group: cio-webhook consumers remove ${name}`
  }))
}

/**
 * When the log is full if nothing is trimmed, by EVENT_MAX_LENGTH or by maxmemory, whichever comes first.
 *
 * @returns `undefined` if it does not grow
 */
export function logFullInMs({ redis, partitions, settings, eventsPerHour }: LogFacts): number | undefined {
  if (eventsPerHour <= 0 || partitions.length === 0) return undefined
  const longest = Math.max(...partitions.map(({ events }) => events))
  const eventsLeft = [(settings.maxLength - longest) * partitions.length]
  if (redis.state === 'up' && redis.memory !== undefined && redis.bytesPerEvent !== undefined) {
    eventsLeft.push((redis.memory.maxBytes - redis.memory.usedBytes) / redis.bytesPerEvent)
  }
  return (Math.max(0, Math.min(...eventsLeft)) / eventsPerHour) * HOUR_MS
}
