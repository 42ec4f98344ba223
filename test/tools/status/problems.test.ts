import { readFileSync } from 'node:fs'
import t from 'tap'
import type { ConsumerStatus } from '../../../src/dispatch/consumer-status.ts'
import { webhookStates } from '../../../src/ops/outcomes.ts'
import type { SourceStats } from '../../../src/receive/delivery-stats.ts'
import { logFullInMs } from '../../../src/tools/status/consumer-problems.ts'
import { problemIds, type SourceStatus, type StatusFacts } from '../../../src/tools/status/facts.ts'
import { findProblems } from '../../../src/tools/status/problems.ts'

const HOUR_MS = 3_600_000
const NOW = Date.parse('2026-11-27T12:00:00Z')

const up: Extract<StatusFacts['redis'], { state: 'up' }> = {
  state: 'up',
  address: 'redis:6379',
  server: { product: 'Redis', version: '7.4.0', persistence: 'aof-everysec', waitAof: true },
  memory: undefined,
  refusal: undefined,
  clockAheadMs: 0,
  latencyMs: 1,
  bytesPerEvent: undefined
}

const healthy: StatusFacts = {
  atMs: NOW,
  version: '1.0.0',
  production: true,
  configuration: { changed: [], secrets: [] },
  settings: { maxLength: 1000, partitions: 1, trustsProxies: true, addressPolicy: 'enforce' },
  redis: up,
  sources: [],
  deliveries: { outcomes: {}, unavailable: {}, durationMs: undefined, eventAgeSeconds: undefined },
  eventsPerHour: 0,
  partitions: [{ partition: 0, events: 10, oldestAtMs: NOW, newestAtMs: NOW }],
  consumers: [],
  removedConsumers: [],
  parked: 0,
  replicas: [],
  webhooks: [],
  publishedAddresses: undefined
}

const stats = (changes: Partial<SourceStats> = {}): SourceStats => ({
  outcomes: {},
  keys: {},
  signatureFailures: {},
  listedFailures: {},
  wrongAddress: {},
  ...changes
})

const source = (changes: Partial<SourceStatus> = {}): { sources: SourceStatus[] } => ({
  sources: [
    {
      name: 'default',
      lastHour: stats(),
      lastDay: stats(),
      last: undefined,
      currentKey: '11111111',
      previousKey: undefined,
      ...changes
    }
  ]
})

const consumer = (changes: Partial<ConsumerStatus>): { consumers: ConsumerStatus[] } => ({
  consumers: [
    {
      name: 'crm',
      type: 'http',
      state: 'ok',
      lag: 0,
      pending: 0,
      queued: 0,
      dead: 0,
      failures: 0,
      members: 1,
      oldestAgeMs: undefined,
      lastFailure: undefined,
      lastFailureAtMs: undefined,
      failingSinceMs: undefined,
      lastSuccessAtMs: undefined,
      pausedAtMs: undefined,
      disabledAtMs: undefined,
      disabledReason: undefined,
      lastActiveMs: undefined,
      ...changes
    }
  ]
})

const persistence = (kind: 'none' | 'unknown' | 'evicting'): Partial<StatusFacts> => ({
  redis: { ...up, server: { ...up.server, persistence: kind } }
})
const memory = (usedBytes: number): Partial<StatusFacts> => ({
  redis: { ...up, memory: { usedBytes, maxBytes: 100 } }
})
const events = (count: number): Partial<StatusFacts> => ({
  partitions: [{ partition: 0, events: count, oldestAtMs: NOW, newestAtMs: NOW }]
})
const partitions = (...counts: number[]): Partial<StatusFacts> => ({
  partitions: counts.map((events, partition) => ({
    partition,
    events,
    oldestAtMs: NOW,
    newestAtMs: NOW
  }))
})
const replicas = (...changes: readonly Partial<StatusFacts['replicas'][number]>[]): Partial<StatusFacts> => ({
  replicas: changes.map((change, n) => ({
    name: `r${n}`,
    version: '1.0.0',
    partitions: 1,
    keys: { default: ['11111111'] },
    ...change
  }))
})

const isWarning = (state: string): boolean => state === 'duplicated' || state === 'unchecked'

const table: readonly (readonly [name: string, facts: Partial<StatusFacts>, problems: readonly string[]])[] =
  [
    ['nothing wrong', {}, []],
    [
      'Redis down',
      { redis: { state: 'down', address: 'redis:6379', cause: 'WRONGPASS' } },
      ['error redis_down']
    ],
    ['no Redis is configured', { redis: { state: 'none' } }, ['error redis_down']],
    [
      'Redis down, with a previous key that may be in use',
      {
        redis: { state: 'down', address: 'redis:6379', cause: 'WRONGPASS' },
        ...source({ previousKey: '22222222' })
      },
      ['error redis_down']
    ],
    [
      'Redis answers, but its disk is full',
      { redis: { ...up, refusal: 'MISCONF (Redis cannot write to its disk)' } },
      ['error redis_refuses']
    ],
    ...webhookStates.map((state): (typeof table)[number] => [
      `a reporting webhook in the state ${state}`,
      { webhooks: [{ source: 'crm', endpoint: 'https://hooks.example.com/', webhook: '7', state }] },
      state === 'ok' ? [] : [`${isWarning(state) ? 'warning' : 'error'} webhook_${state}`]
    ]),
    ['clocks that differ by half a minute', { redis: { ...up, clockAheadMs: -30_000 } }, []],
    ['a clock of Redis behind', { redis: { ...up, clockAheadMs: -90_000 } }, ['warning clocks_differ']],
    ['a clock of Redis ahead', { redis: { ...up, clockAheadMs: HOUR_MS } }, ['warning clocks_differ']],
    ['PARTITIONS lowered', partitions(10, 0, 5), ['warning partitions_lowered']],
    ['PARTITIONS lowered, and the old events trimmed', partitions(10, 0, 0), []],
    ['no persistence', persistence('none'), ['warning persistence_weak']],
    ['no persistence, in development', { ...persistence('none'), production: false }, []],
    ['CONFIG not permitted', persistence('unknown'), ['warning persistence_unknown']],
    ['memory at 79 %', memory(79), []],
    ['memory at 80 %', memory(80), ['warning memory']],
    ['memory full', memory(100), ['error memory']],
    ['log at 79 %', events(799), []],
    ['log at 80 %', events(800), ['warning log_nearly_full']],
    ['log full', events(1000), ['error log_nearly_full']],
    ['parked deliveries', { parked: 2 }, ['warning parked']],
    [
      'a consumer that fails',
      consumer({ state: 'failing', lastFailure: '503', lastFailureAtMs: NOW }),
      ['error consumer_failing']
    ],
    [
      'a disabled consumer',
      consumer({ state: 'disabled', disabledReason: 'answered 410' }),
      ['error consumer_disabled']
    ],
    ['paused for a minute', consumer({ state: 'paused', pausedAtMs: NOW - 60_000 }), []],
    [
      'paused for an hour',
      consumer({ state: 'paused', pausedAtMs: NOW - HOUR_MS }),
      ['warning consumer_paused']
    ],
    ['behind by a minute', consumer({ oldestAgeMs: 60_000 }), []],
    ['behind by an hour', consumer({ oldestAgeMs: HOUR_MS }), ['warning consumer_behind']],
    ['dead letters', consumer({ dead: 3 }), ['warning dead_letters']],
    [
      'dead letters of a removed consumer',
      { removedConsumers: [{ name: 'old', dead: 2, removedAtMs: NOW }] },
      ['warning removed_dead_letters']
    ],
    ['no members for an hour', consumer({ state: 'no_members', oldestAgeMs: HOUR_MS }), []],
    [
      'no members for a day',
      consumer({ state: 'no_members', oldestAgeMs: 24 * HOUR_MS }),
      ['warning no_members']
    ],
    [
      'no members, and the log full within a week',
      { ...consumer({ state: 'no_members', oldestAgeMs: 24 * HOUR_MS }), eventsPerHour: 99 },
      ['error no_members']
    ],
    [
      'an address refused',
      source({ lastHour: stats({ wrongAddress: { TRUSTED_PROXIES: 4 } }) }),
      ['error authentic_but_refused']
    ],
    [
      'an address reported',
      {
        ...source({ lastHour: stats({ wrongAddress: { CIO_ALLOWED_IPS: 4 } }) }),
        settings: { ...healthy.settings, addressPolicy: 'report' }
      },
      ['warning authentic_but_refused']
    ],
    [
      'only a wrong key',
      source({ lastHour: stats({ listedFailures: { mismatch: 1 } }) }),
      ['error wrong_key']
    ],
    [
      'a wrong key beside the right one',
      source({ lastHour: stats({ listedFailures: { mismatch: 1 }, keys: { current: 5 } }) }),
      ['warning wrong_key']
    ],
    [
      'forged deliveries of unknown addresses',
      source({ lastHour: stats({ signatureFailures: { mismatch: 1000 } }) }),
      []
    ],
    [
      'a clock of the service behind',
      source({ lastHour: stats({ listedFailures: { timestamp_future: 3 } }) }),
      ['error wrong_clock']
    ],
    [
      'a stale delivery beside others',
      source({ lastHour: stats({ listedFailures: { timestamp_stale: 1 }, keys: { current: 5 } }) }),
      ['warning wrong_clock']
    ],
    [
      'a previous key in use',
      source({ previousKey: '22222222', lastDay: stats({ keys: { previous: 1 } }) }),
      ['warning previous_key_used']
    ],
    ['a previous key without use', source({ previousKey: '22222222' }), ['warning rotation_unfinished']],
    [
      'a silence of two hours after a delivery per minute',
      source({
        last: { atMs: NOW - 2 * HOUR_MS, outcome: 'accepted', ageSeconds: 1 },
        lastDay: stats({ keys: { current: 1440 } })
      }),
      ['warning no_deliveries']
    ],
    [
      'a silence of two hours after few deliveries',
      source({
        last: { atMs: NOW - 2 * HOUR_MS, outcome: 'accepted', ageSeconds: 1 },
        lastDay: stats({ keys: { current: 3 } })
      }),
      []
    ],
    [
      '503s',
      { deliveries: { ...healthy.deliveries, outcomes: { unavailable: 2 }, unavailable: { redis_down: 2 } } },
      ['warning unavailable']
    ],
    [
      'late events',
      { deliveries: { ...healthy.deliveries, eventAgeSeconds: { p50: 301, p99: 400 } } },
      ['warning late']
    ],
    [
      'no trusted proxies',
      { settings: { ...healthy.settings, trustsProxies: false } },
      ['warning no_trusted_proxies']
    ],
    ['replicas of one version', replicas({}, {}), []],
    ['replicas of two versions', replicas({}, { version: '1.1.0' }), ['warning replica_versions']],
    [
      'a replica of an older version, which does not report its PARTITIONS',
      replicas({}, { partitions: undefined }),
      []
    ],
    ['replicas with different PARTITIONS', replicas({}, { partitions: 4 }), ['warning replica_partitions']],
    [
      'replicas with different keys',
      replicas({ keys: { default: ['11111111'] } }, { keys: { default: ['22222222'] } }),
      ['warning replica_keys']
    ]
  ]

for (const [name, facts, expected] of table) {
  t.test(name, async t => {
    const found = findProblems({ ...healthy, ...facts })
    t.same(
      found.map(({ severity, id }) => `${severity} ${id}`),
      expected
    )
    for (const { summary, consequence, fix } of found) {
      for (const text of [summary, consequence, fix]) t.notMatch(text, /undefined|NaN|^$/)
    }
  })
}

t.test('each problem has a row', async t => {
  const found = table.flatMap(([, , problems]) => problems.map(problem => problem.split(' ')[1]))
  t.same([...new Set(found)].sort(), [...problemIds].sort())
})

t.test('each problem has a section in the runbook, and no section is without one', async t => {
  const runbook = readFileSync('docs/runbook.md', 'utf8')
  const [, problems = ''] = runbook.split('\n## Problems shown by `status`\n')
  const [chapter = ''] = problems.split(/^## /m)
  const sections = [...chapter.matchAll(/^### ([a-z_]+)$/gm)].map(([, id]) => id)
  t.same(sections.sort(), [...problemIds].sort())
})

t.test(
  'each section says what it means, how much time there is, what to do, and when it is over',
  async t => {
    const sections = readFileSync('docs/runbook.md', 'utf8').split(/^### /m).slice(1)
    for (const section of sections) {
      const bullets = [...section.matchAll(/^- \*\*(.*?):?\*\*/gm)].map(([, title]) => title)
      t.same(
        [...bullets],
        ['For Customer.io', 'Time', 'Check', 'Do', 'Over when'],
        section.split('\n')[0] ?? ''
      )
    }
  }
)

t.test('errors come before warnings', async t => {
  const found = findProblems({ ...healthy, parked: 1, ...consumer({ state: 'disabled' }) })
  t.same(
    found.map(({ severity }) => severity),
    ['error', 'warning']
  )
})

t.test('the words of a problem: what, what follows, and what to run', async t => {
  const [problem] = findProblems({
    ...healthy,
    ...consumer({ state: 'no_members', oldestAgeMs: 72 * HOUR_MS }),
    eventsPerHour: 9.9
  })
  t.same(problem, {
    id: 'no_members',
    severity: 'error',
    summary: 'The consumer group crm has no members, and has not read for 3 d.',
    consequence:
      'The log keeps all events that it has not read. When the log is full, in about 4 d at the rate of the last day, deliveries get 503.',
    fix: 'start a member of crm, or delete the group: cio-webhook consumers remove crm'
  })
})

t.test('the log is full when the first limit is reached: its length or the memory', async t => {
  t.equal(logFullInMs({ ...healthy, eventsPerHour: 99 }), 10 * HOUR_MS)
  const redis = { ...up, memory: { usedBytes: 1000, maxBytes: 2000 }, bytesPerEvent: 10 }
  t.equal(logFullInMs({ ...healthy, redis, eventsPerHour: 100 }), HOUR_MS)
  t.equal(logFullInMs(healthy), undefined, 'no events, no projection')
})
