import type { Redis } from 'ioredis'

const STREAM = 'cio:events:{0}'
/** More entries than any member has in flight. */
const AT_MOST = 10_000

/** Why an event may have come more than once: event id → what happened while it was in flight. */
interface Repeats {
  /**
   * Call it right after a kill. Notes which events of these consumers are in flight: delivered by the log and not
   * acknowledged, or being posted by a worker.
   */
  note(consumers: readonly string[], cause: string): Promise<void>
  /** How many events came more than once, by cause; `unexplained` if there is none. */
  explain(consumer: string, ids: readonly string[]): ReadonlyMap<string, number>
}

export function createRepeats(redis: Redis): Repeats {
  const causes = new Map<string, Map<string, string>>()
  return {
    // Of all consumers at once: another replica takes over within seconds, and then they are not in flight any longer.
    note: async (consumers, cause) => {
      await Promise.all(consumers.map(consumer => noteOne(consumer, cause)))
    },
    explain: (consumer, ids) => {
      const counts = new Map<string, number>()
      const seen = new Set<string>()
      for (const id of ids) {
        if (!seen.has(id)) {
          seen.add(id)
          continue
        }
        const cause = causes.get(consumer)?.get(id) ?? 'unexplained'
        counts.set(cause, (counts.get(cause) ?? 0) + 1)
      }
      return counts
    }
  }

  async function noteOne(consumer: string, cause: string): Promise<void> {
    const [pending, active] = await Promise.all([
      redis.xpending(STREAM, consumer, '-', '+', AT_MOST) as Promise<[string][]>,
      redis.lrange(`cio:push:{${consumer}}:push:active`, 0, -1)
    ])
    const known = causes.get(consumer) ?? new Map<string, string>()
    causes.set(consumer, known)
    const unacknowledged = await Promise.all(pending.map(([entry]) => eventAt(entry)))
    const posted = await Promise.all(active.map(job => eventAt(/^0-(\d+-\d+)/.exec(job)?.[1] ?? '')))
    for (const id of unacknowledged) known.set(id, `${cause}: not acknowledged in the log yet`)
    // An event that is in both lists counts as not acknowledged.
    for (const id of posted) if (!known.has(id)) known.set(id, `${cause}: its request was in flight`)
  }

  async function eventAt(entry: string): Promise<string> {
    const [found] = await redis.xrange(STREAM, entry, entry)
    const fields = found?.[1] ?? []
    return JSON.parse(fields[fields.indexOf('event') + 1] ?? '{}').id
  }
}
