// Tested by test/log/retention.test.ts and test/tools/bulk/bulk-actions.test.ts.
import type { RedisClient } from './connect.ts'
import { loadScript, runScript } from './script.ts'

const script = loadScript(new URL('write-while-full.lua', import.meta.url))

/**
 * Runs a write of one small key, also while the memory of Redis is full.
 *
 * @returns the reply
 * @throws the error of Redis
 */
export const writeWhileFull = (
  redis: RedisClient,
  command: 'set' | 'sadd' | 'hset' | 'hsetnx' | 'xadd',
  key: string,
  args: readonly (string | number)[]
): Promise<unknown> => runScript(redis, script, [key], [command, ...args])
