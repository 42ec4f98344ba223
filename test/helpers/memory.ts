import type { Redis } from 'ioredis'

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
  await client.config('SET', 'maxmemory', Math.floor((await usedMemory(client)) / ratio))
}

/** Appends entries of `bytes` bytes each. @returns their ids */
export async function fill(client: Redis, stream: string, entries: number, bytes: number): Promise<string[]> {
  const ids: string[] = []
  for (let done = 0; done < entries; done += 500) {
    const pipeline = client.pipeline()
    for (let n = done; n < Math.min(entries, done + 500); n++) {
      pipeline.xadd(stream, '*', 'type', 'io.customer.email.opened', 'event', 'x'.repeat(bytes))
    }
    for (const [error, id] of (await pipeline.exec()) ?? []) {
      if (error !== null) throw error
      ids.push(String(id))
    }
  }
  return ids
}

/** Reads the next entries of a consumer group and acknowledges all of them except `except`. */
export async function consume(
  client: Redis,
  stream: string,
  group: string,
  entries: number,
  except: readonly string[] = []
): Promise<void> {
  for (let left = entries; left > 0; left -= 1000) {
    const reply = (await client.xreadgroup(
      'GROUP',
      group,
      'member',
      'COUNT',
      Math.min(left, 1000),
      'STREAMS',
      stream,
      '>'
    )) as [string, [string, string[]][]][] | null
    const ids = (reply?.[0]?.[1] ?? []).map(([id]) => id).filter(id => !except.includes(id))
    if (ids.length > 0) await client.xack(stream, group, ...ids)
  }
}
