import { execFileSync } from 'node:child_process'
import t from 'tap'
import {
  inspectServers,
  type ServerFacts,
  serverName,
  unmetRequirement
} from '../../src/redis/server-facts.ts'
import { startRedis } from '../helpers/redis.ts'

t.test('which servers fulfil which durability', async t => {
  const fsync = { level: 'fsync' } as const
  const server = { level: 'server' } as const
  const facts = (
    version: string,
    persistence: ServerFacts['persistence'],
    waitAof = false,
    product: ServerFacts['product'] = 'Redis'
  ): ServerFacts => ({ product, version, persistence, waitAof })
  const rows = [
    [
      'an old server',
      facts('6.2.14', 'aof-always'),
      server,
      /^Redis 6\.2\.14 is too old: Redis 7\.0 or newer/
    ],
    [
      'an old Valkey, whose number would be new enough for Redis',
      facts('7.2.5', 'none', true, 'Valkey'),
      server,
      /^Valkey 7\.2\.5 is too old: .* Valkey 8\.0 or newer, is needed$/
    ],
    ['the first Valkey that is supported', facts('8.0.0', 'none', true, 'Valkey'), server, undefined],
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

t.test(
  'product and version are those that the program names, and it has WAITAOF unless it is Redis 7.0',
  async t => {
    const redis = await startRedis({ appendonly: 'yes', appendfsync: 'everysec' })
    t.teardown(() => redis.stop())
    const facts = await inspectServers(redis.client)
    const [, name] = /^(\w+ server v=\S+)/.exec(execFileSync('redis-server', ['--version']).toString()) ?? []
    t.equal(serverName(facts), name?.replace('server v=', ''))
    const reply = await redis.client.call('WAITAOF', 1, 0, 2000).catch(() => undefined)
    t.equal(facts.waitAof, reply !== undefined)
    await redis.client.config('SET', 'appendfsync', 'no')
    t.equal((await inspectServers(redis.client)).waitAof, false, 'it would wait in vain')
  }
)
