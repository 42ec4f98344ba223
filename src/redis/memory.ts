import { mastersOf, type RedisClient } from './connect.ts'

/**
 * How much of its `maxmemory` the fullest master uses, from 0 to 1; a little more is possible. `undefined` where no
 * master has a limit.
 *
 * @throws what Redis answers
 */
export async function memoryShare(redis: RedisClient): Promise<number | undefined> {
  const infos = await Promise.all(mastersOf(redis).map(node => node.info('memory')))
  const shares = infos.flatMap(info => {
    const limit = numberOf(info, 'maxmemory')
    // Buffers for replicas and for the append-only file are not held against the limit.
    const used = numberOf(info, 'used_memory') - numberOf(info, 'mem_not_counted_for_evict')
    return limit > 0 ? [used / limit] : []
  })
  return shares.length === 0 ? undefined : Math.max(...shares)
}

const numberOf = (info: string, field: string): number =>
  Number(new RegExp(`^${field}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)
