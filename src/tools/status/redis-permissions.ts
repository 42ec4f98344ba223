// Tested by test/cli/serve/check.slow.test.ts.
import { randomUUID } from 'node:crypto'
import { sendCommand } from '../../redis/command.ts'
import type { RedisClient } from '../../redis/connect.ts'
import type { ServerFacts } from '../../redis/server-facts.ts'
import type { Config } from '../../settings/config.ts'
import type { Durability } from '../../settings/parse.ts'

type Call = readonly [command: string, ...args: (string | number)[]]

const SCRIPT = "return redis.call('EXISTS', KEYS[1])"

/**
 * One call of each command that the service and its push queues use, on keys of its own. An error reply other than
 * NOPERM is fine: Redis checks permissions before anything else.
 */
const calls = (key: string): readonly Call[] => {
  const stream = `${key}:stream`
  const hash = `${key}:hash`
  const zset = `${key}:zset`
  const list = `${key}:list`
  const set = `${key}:set`
  return [
    ['ping'],
    ['time'],
    ['info', 'server'],
    ['set', key, '1', 'EX', 60],
    ['get', key],
    ['incr', key],
    ['exists', key],
    ['expire', key, 60],
    ['pexpire', key, 60_000],
    ['pttl', key],
    ['rename', `${key}:none`, `${key}:none`],
    ['hset', hash, 'field', 1],
    ['hsetnx', hash, 'field', 1],
    ['hmset', hash, 'field', 1],
    ['hget', hash, 'field'],
    ['hmget', hash, 'field'],
    ['hgetall', hash],
    ['hexists', hash, 'field'],
    ['hscan', hash, 0],
    ['hlen', hash],
    ['hincrby', hash, 'field', 1],
    ['hdel', hash, 'field'],
    ['zadd', zset, 1, 'member'],
    ['zcard', zset],
    ['zcount', zset, 0, 1],
    ['zscore', zset, 'member'],
    ['zrange', zset, 0, 1],
    ['zrevrange', zset, 0, 1],
    ['zrangebyscore', zset, 0, 1],
    ['zrevrangebyscore', zset, 1, 0],
    ['zrem', zset, 'none'],
    ['zremrangebyscore', zset, 0, 1],
    ['zremrangebyrank', zset, 0, 1],
    ['zpopmin', zset],
    ['bzpopmin', zset, 0.001],
    ['lpush', list, '1'],
    ['rpush', list, '1'],
    ['llen', list],
    ['lindex', list, 0],
    ['lrange', list, 0, 1],
    ['lrem', list, 0, 'none'],
    ['ltrim', list, 0, 1],
    ['rpoplpush', list, list],
    ['lpop', list],
    ['rpop', list],
    ['sadd', set, 'member'],
    ['scard', set],
    ['smembers', set],
    ['srem', set, 'member'],
    ['xadd', stream, 'MAXLEN', '~', 10, '*', 'field', '1'],
    ['xlen', stream],
    ['xrange', stream, '-', '+', 'COUNT', 1],
    ['xrevrange', stream, '+', '-', 'COUNT', 1],
    ['xread', 'COUNT', 1, 'STREAMS', stream, '$'],
    ['xgroup', 'CREATE', stream, 'group', '$'],
    ['xgroup', 'SETID', stream, 'group', '$'],
    ['xinfo', 'STREAM', stream],
    ['xinfo', 'GROUPS', stream],
    ['xinfo', 'CONSUMERS', stream, 'group'],
    ['xreadgroup', 'GROUP', 'group', 'reader', 'COUNT', 1, 'STREAMS', stream, '>'],
    ['xpending', stream, 'group'],
    ['xclaim', stream, 'group', 'reader', 0, '0-1'],
    ['xack', stream, 'group', '0-1'],
    ['xgroup', 'DESTROY', stream, 'group'],
    ['xdel', stream, '0-1'],
    ['xtrim', stream, 'MAXLEN', '~', 10],
    ['eval', SCRIPT, 1, key],
    ['evalsha', '0'.repeat(40), 1, key],
    // Last: nothing is left behind.
    ['unlink', stream, hash, zset],
    ['del', key, list, set]
  ]
}

/** What DURABILITY waits with. `appendfsync always` needs no wait. */
function durabilityCalls(
  { level }: Durability,
  { persistence }: Pick<ServerFacts, 'persistence'>
): readonly Call[] {
  if (level === 'replicated') return [['wait', 0, 0]]
  return level === 'fsync' && persistence !== 'aof-always' ? [['waitaof', 0, 0, 0]] : []
}

/** Without them the service works, and shows less. */
const optionalCalls = (key: string): readonly Call[] => [
  ['config', 'GET', 'appendonly'],
  ['memory', 'USAGE', key]
]

interface MissingPermissions {
  /** In the form of `ACL SETUSER`, such as `xadd` or `xgroup|create`. `keys` if the keys are not permitted. */
  readonly needed: readonly string[]
  readonly optional: readonly string[]
}

/** @throws the error of a connection that is lost */
export async function missingPermissions(
  redis: RedisClient,
  { keyPrefix, durability }: Pick<Config['log'], 'keyPrefix' | 'durability'>,
  facts: Pick<ServerFacts, 'persistence'>
): Promise<MissingPermissions> {
  // One hash tag, so that all keys of a call are in one slot.
  const key = `${keyPrefix}check:{${randomUUID()}}`
  const needed = [...durabilityCalls(durability, facts), ...calls(key)]
  return { needed: await refusedOf(redis, needed), optional: await refusedOf(redis, optionalCalls(key)) }
}

async function refusedOf(redis: RedisClient, calls: readonly Call[]): Promise<readonly string[]> {
  const refused = new Set<string>()
  for (const [command, ...args] of calls) {
    try {
      await sendCommand(redis, command, args)
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'ReplyError') throw error
      if (error.message.startsWith('NOPERM')) refused.add(permissionOf(error.message, command))
    }
  }
  return [...refused]
}

function permissionOf(reply: string, command: string): string {
  const named = /'([a-z|_-]+)' command/i.exec(reply)?.[1]
  if (named !== undefined) return named.toLowerCase()
  return /key/i.test(reply) ? `${command} (its keys)` : command
}
