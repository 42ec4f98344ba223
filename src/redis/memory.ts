// Tested by test/ops/memory-watch.test.ts.
import { mastersOf, type RedisClient } from './connect.ts'

/** Memory usage of a server and its `maxmemory`. Usage can be slightly above it. */
export interface MemoryUsage {
  readonly usedBytes: number
  readonly maxBytes: number
}

/**
 * The usage of the fullest master.
 *
 * @returns `undefined` if no master has a limit
 * @throws the error reply of Redis
 */
export async function memoryUsage(redis: RedisClient): Promise<MemoryUsage | undefined> {
  const infos = await Promise.all(mastersOf(redis).map(node => node.info('memory')))
  const usages = infos.map(info => ({
    // Redis does not count the buffers of replicas and of the append-only file towards maxmemory.
    usedBytes: numberOf(info, 'used_memory') - numberOf(info, 'mem_not_counted_for_evict'),
    maxBytes: numberOf(info, 'maxmemory')
  }))
  return usages
    .filter(({ maxBytes }) => maxBytes > 0)
    .sort((a, b) => memoryUsageRatio(b) - memoryUsageRatio(a))[0]
}

export const memoryUsageRatio = ({ usedBytes, maxBytes }: MemoryUsage): number => usedBytes / maxBytes

const numberOf = (info: string, field: string): number =>
  Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
