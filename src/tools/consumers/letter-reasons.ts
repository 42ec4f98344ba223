import { groupKeys } from '../../log/keys.ts'
import type { RedisClient } from '../../redis/connect.ts'
import { loadScript, runScript } from '../../redis/script.ts'

const script = loadScript(new URL('letter-reasons.lua', import.meta.url))

/** Dead letters per call: Redis copies their events, usually about 2 KB each. */
const PAGE_LETTERS = 200

/** @returns the number of a consumer's dead letters by reason. @throws the error of Redis */
export async function countByReason(
  redis: RedisClient,
  keyPrefix: string,
  consumer: string
): Promise<Readonly<Record<string, number>>> {
  const counts = new Map<string, number>()
  for (let from = '-'; ; ) {
    const reply = await runScript(redis, script, [groupKeys(keyPrefix, consumer).dead], [from, PAGE_LETTERS])
    const [last, ...pairs] = Array.isArray(reply) ? reply : [null]
    for (let index = 0; index < pairs.length; index += 2) {
      const reason = String(pairs[index])
      counts.set(reason, (counts.get(reason) ?? 0) + Number(pairs[index + 1]))
    }
    if (typeof last !== 'string') return Object.fromEntries(counts)
    from = `(${last}`
  }
}
