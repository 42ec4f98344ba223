import type { Redis } from 'ioredis'
import type { RedisClient } from '../../src/redis/connect.ts'

const field = (info: string, name: string): number =>
  Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0)

/** Bytes that count towards a server's maxmemory. */
export async function usedMemory(client: Redis): Promise<number> {
  const info = await client.info('memory')
  return field(info, 'used_memory') - field(info, 'mem_not_counted_for_evict')
}

export async function usedRatio(client: Redis): Promise<number> {
  return (await usedMemory(client)) / field(await client.info('memory'), 'maxmemory')
}

/** Sets maxmemory so that the memory in use is this share of it. */
export async function setUsedRatio(client: Redis, ratio: number): Promise<void> {
  // Redis 8 counts the memory of Lua, so what the scripts below left would be freed at a time that a test cannot know.
  await client.eval("collectgarbage('collect')", 0)
  await client.config('SET', 'maxmemory', Math.floor((await usedMemory(client)) / ratio))
}

// Scripts, because most of the time would be spent on sending and parsing values that no test looks at.
const FILL = `local ids = {}
for n = 1, tonumber(ARGV[1]) do
  ids[n] = redis.call('XADD', KEYS[1], '*', 'type', 'io.customer.email.opened', 'event', ARGV[2])
end
return ids`
const READ = `local reply = redis.call('XREADGROUP', 'GROUP', ARGV[1], 'member', 'COUNT', ARGV[2], 'STREAMS', KEYS[1], '>')
local ids = {}
for n, entry in ipairs(reply and reply[1][2] or {}) do ids[n] = entry[1] end
return ids`
const IDS = `local ids = {}
for n, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do ids[n] = entry[1] end
return ids`

/** The ids of all entries, oldest first. */
export async function idsIn(client: RedisClient, stream: string): Promise<readonly string[]> {
  return (await client.eval(IDS, 1, stream)) as string[]
}

/** Appends entries of `bytes` bytes each. @returns their ids */
export async function fill(
  client: RedisClient,
  stream: string,
  entries: number,
  bytes: number
): Promise<string[]> {
  const [ids, event] = [[] as string[], 'x'.repeat(bytes)]
  // The entries of a call get the same time, as those of a batch of deliveries do.
  while (ids.length < entries) {
    ids.push(
      ...((await client.eval(FILL, 1, stream, Math.min(entries - ids.length, 100), event)) as string[])
    )
  }
  return ids
}

/** Reads the next entries of a consumer group, which are pending then. @returns their ids */
export async function read(
  client: RedisClient,
  stream: string,
  group: string,
  entries: number
): Promise<string[]> {
  return (await client.eval(READ, 1, stream, group, entries)) as string[]
}

/** Reads the next entries of a consumer group and acknowledges all of them except `except`. */
export async function consume(
  client: RedisClient,
  stream: string,
  group: string,
  entries: number,
  except: readonly string[] = []
): Promise<void> {
  for (let left = entries; left > 0; left -= 1000) {
    const ids = (await read(client, stream, group, Math.min(left, 1000))).filter(id => !except.includes(id))
    if (ids.length > 0) await client.xack(stream, group, ...ids)
  }
}
