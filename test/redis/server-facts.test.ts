import t from 'tap'
import { inspectServers, type ServerFacts, unmetRequirement } from '../../src/redis/server-facts.ts'
import { startRedis } from '../helpers/redis.ts'

t.test('which servers fulfil which durability', async t => {
  const fsync = { level: 'fsync' } as const
  const server = { level: 'server' } as const
  const facts = (version: string, persistence: ServerFacts['persistence'], waitAof = false): ServerFacts => ({
    version,
    persistence,
    waitAof
  })
  const rows = [
    ['an old server', facts('6.2.14', 'aof-always'), server, /too old: 7\.0 or newer/],
    ['any persistence will do for server', facts('7.0.15', 'none'), server, undefined],
    ['fsync with appendfsync always', facts('7.0.15', 'aof-always'), fsync, undefined],
    ['fsync with WAITAOF', facts('7.2.4', 'aof-everysec', true), fsync, undefined],
    ['fsync without either', facts('7.0.15', 'aof-everysec'), fsync, /^DURABILITY=fsync needs a Redis with/],
    ['fsync with unknown persistence', facts('7.4.0', 'unknown'), fsync, /^DURABILITY=fsync needs/],
    ['fsync where keys are evicted', facts('7.0.15', 'evicting'), fsync, /"maxmemory-policy noeviction"/],
    [
      'replicas, with eviction',
      facts('7.0.15', 'evicting'),
      { level: 'replicated', replicas: 1 } as const,
      /^DURABILITY=replicated needs a Redis that keeps/
    ],
    ['evicting is what this Redis is configured to', facts('7.0.15', 'evicting'), server, undefined],
    ['a version with two digits', facts('10.0.1', 'none'), server, undefined]
  ] as const
  for (const [name, facts, durability, expected] of rows) {
    const problem = unmetRequirement(facts, durability)
    if (expected === undefined) t.equal(problem, undefined, name)
    else t.match(problem, expected, name)
  }
})

t.test('settings that weaken another one are taken into account', async t => {
  const always = { appendonly: 'yes', appendfsync: 'always' }
  const rows = [
    ['always', always, 'aof-always'],
    ['not forced to disk during a rewrite', { ...always, 'no-appendfsync-on-rewrite': 'yes' }, 'aof-no'],
    ['any key may go', { ...always, maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' }, 'evicting'],
    [
      'eviction of any key, without a memory limit',
      { ...always, maxmemory: '0', 'maxmemory-policy': 'allkeys-lru' },
      'aof-always'
    ],
    [
      'eviction of keys with an expiry only',
      { ...always, maxmemory: '100mb', 'maxmemory-policy': 'volatile-lru' },
      'aof-always'
    ]
  ] as const
  for (const [name, settings, expected] of rows) {
    const redis = await startRedis(settings)
    try {
      t.equal((await inspectServers(redis.client)).persistence, expected, name)
    } finally {
      await redis.stop()
    }
  }
})
