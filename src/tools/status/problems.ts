import { counted } from '../../counted.ts'
import { formatDuration } from '../../duration.ts'
import { memoryUsageRatio } from '../../redis/memory.ts'
import { consumerProblems } from './consumer-problems.ts'
import type { Problem, StatusFacts } from './facts.ts'
import { sourceProblems } from './source-problems.ts'
import { webhookProblems } from './webhook-problems.ts'

/** Finds one kind of problem. Pure: the same facts have the same problems. */
type Check = (facts: StatusFacts) => readonly Problem[]

const LOG_NEARLY_FULL = 0.8
const MEMORY_NEARLY_FULL = 0.8

/** Errors first, otherwise in the order of the table. */
export function findProblems(facts: StatusFacts): readonly Problem[] {
  const found = checks.flatMap(check => check(facts))
  return [
    ...found.filter(({ severity }) => severity === 'error'),
    ...found.filter(({ severity }) => severity === 'warning')
  ]
}

const checks: readonly Check[] = [
  ({ redis }) => {
    if (redis.state === 'up') return []
    const problem = { id: 'redis_down', severity: 'error' } as const
    // In development, a Redis is there only while the service runs.
    return redis.state === 'none'
      ? [
          {
            ...problem,
            summary: 'REDIS_URL is missing, and no cio-webhook runs here with a Redis of its own.',
            consequence: 'Nothing can be received, and nothing below is known.',
            fix: 'start the service in this folder with the same DATA_DIR (npm start), or set REDIS_URL'
          }
        ]
      : [
          {
            ...problem,
            summary: `cannot reach Redis at ${redis.address}: ${redis.cause}.`,
            consequence: 'Deliveries get 503, and Customer.io retries them. Nothing below is known.',
            fix: 'check that Redis runs, and REDIS_URL (or REDIS_SENTINELS, REDIS_CLUSTER_NODES): cio-webhook serve --check'
          }
        ]
  },
  ({ redis, production }) => {
    if (!production || redis.state !== 'up' || redis.server.persistence.startsWith('aof')) return []
    const { persistence } = redis.server
    return [
      persistence === 'unknown'
        ? {
            id: 'persistence_unknown',
            severity: 'warning',
            summary: 'It is unknown what this Redis keeps: it does not permit CONFIG GET.',
            consequence:
              'If it has no append-only file, a restart of Redis loses events that were answered with 200.',
            fix: 'permit the Redis user the command CONFIG|GET, or check persistence with your provider'
          }
        : {
            id: 'persistence_weak',
            severity: 'warning',
            summary: `This Redis keeps less than an append-only file (${persistence}).`,
            consequence: 'A restart of Redis loses events that were answered with 200.',
            fix:
              persistence === 'evicting'
                ? 'set "maxmemory-policy noeviction" in redis.conf'
                : 'set "appendonly yes" in redis.conf'
          }
    ]
  },
  ({ redis }) => {
    if (redis.state !== 'up' || redis.memory === undefined) return []
    const ratio = memoryUsageRatio(redis.memory)
    if (ratio < MEMORY_NEARLY_FULL) return []
    return [
      {
        id: 'memory',
        severity: ratio >= 1 ? 'error' : 'warning',
        summary: `Redis uses ${percent(ratio)} of its maxmemory.`,
        consequence: 'When it is full of unread events, deliveries get 503.',
        fix: 'raise maxmemory, or let consumers that are behind catch up: cio-webhook consumers'
      }
    ]
  },
  ({ partitions, settings: { maxLength } }) =>
    partitions
      .filter(({ events }) => events >= LOG_NEARLY_FULL * maxLength)
      .map(({ partition, events }) => ({
        id: 'log_nearly_full',
        severity: events >= maxLength ? 'error' : 'warning',
        summary: `Partition ${partition} has ${counted(events, 'event')}, ${percent(events / maxLength)} of EVENT_MAX_LENGTH.`,
        consequence: 'When it is full of unread events, deliveries get 503.',
        fix: 'let consumers that are behind catch up (cio-webhook consumers), or raise EVENT_MAX_LENGTH'
      })),
  ({ parked }) =>
    parked === 0
      ? []
      : [
          {
            id: 'parked',
            severity: 'warning',
            summary:
              parked === 1
                ? '1 authentic delivery is parked: it was not an event.'
                : `${counted(parked, 'authentic delivery', 'authentic deliveries')} are parked: they were not events.`,
            consequence: 'No consumer gets a parked delivery until it is replayed.',
            fix: 'cio-webhook consumers parked shows why; then replay-parked or drop-parked'
          }
        ],
  consumerProblems,
  sourceProblems,
  webhookProblems,
  ({ deliveries: { outcomes, unavailable } }) => {
    const count = outcomes.unavailable ?? 0
    if (count === 0) return []
    return [
      {
        id: 'unavailable',
        severity: 'warning',
        summary: `${counted(count, 'delivery', 'deliveries')} got 503 in the last hour (${namesOf(unavailable)}).`,
        consequence: 'Customer.io retries them for 7 days, and later events wait behind them.',
        fix: 'the reasons in brackets are explained in docs/troubleshooting.md (503)'
      }
    ]
  },
  ({ deliveries: { eventAgeSeconds } }) =>
    eventAgeSeconds === undefined || eventAgeSeconds.p50 < 300
      ? []
      : [
          {
            id: 'late',
            severity: 'warning',
            summary: `Events of the last hour were ${formatDuration(eventAgeSeconds.p50 * 1000)} old when they arrived (median).`,
            consequence:
              'Customer.io is behind: it delivers in order, and retries delay everything after them.',
            fix: 'none if the backlog becomes smaller; otherwise look for refused deliveries, and for the status of Customer.io'
          }
        ],
  ({ production, settings: { trustsProxies } }) =>
    !production || trustsProxies
      ? []
      : [
          {
            id: 'no_trusted_proxies',
            severity: 'warning',
            summary: 'TRUSTED_PROXIES is not set.',
            consequence:
              'Behind a load balancer, every delivery seems to come from its address, and is refused.',
            fix: 'set TRUSTED_PROXIES to the addresses of your proxies; without a proxy, to 127.0.0.1'
          }
        ],
  ({ replicas }) => [
    ...differing(
      'replica_versions',
      replicas.map(({ version }) => version ?? 'an older version'),
      versions => ({
        summary: `The replicas run different versions: ${versions.join(', ')}.`,
        consequence: 'They may answer differently. This is normal only while a new version is rolled out.',
        fix: 'finish the rollout'
      })
    ),
    ...differing(
      'replica_keys',
      replicas.map(({ keys }) => JSON.stringify(Object.entries(keys).sort())),
      sets => ({
        summary: `The replicas accept ${sets.length} different sets of signing keys.`,
        consequence: 'A delivery that one replica accepts gets 401 from another.',
        fix: 'give all replicas the same keys, and restart those that read theirs from variables: cio-webhook rotate'
      })
    )
  ]
]

const percent = (ratio: number): string => `${Math.round(ratio * 100)} %`

const namesOf = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ')

function differing(
  id: string,
  values: readonly string[],
  text: (values: readonly string[]) => Pick<Problem, 'summary' | 'consequence' | 'fix'>
): readonly Problem[] {
  const distinct = [...new Set(values)].sort()
  return distinct.length < 2 ? [] : [{ id, severity: 'warning', ...text(distinct) }]
}
