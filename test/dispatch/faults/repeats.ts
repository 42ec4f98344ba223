import type { Redis } from 'ioredis'

const STREAM = 'cio:events:{0}'
/** More than any follower or member has under way. */
const AT_MOST = 10_000

/** Why an event may have come more than once: event id → what happened while it was under way. */
export interface Repeats {
  /**
   * Notes which of a consumer's events are under way right after something was killed: handed out by the log and
   * not acknowledged, or with a worker that posts them.
   */
  note(consumer: string, cause: string): Promise<void>
  /** How many events of each cause came more than once; under `unexplained` those for which there is none. */
  explain(consumer: string, ids: readonly string[]): ReadonlyMap<string, number>
}

export function createRepeats(redis: Redis): Repeats {
  const causes = new Map<string, Map<string, string>>()
  return {
    note: async (consumer, cause) => {
      const [pending, active] = await Promise.all([
        redis.xpending(STREAM, consumer, '-', '+', AT_MOST) as Promise<[string][]>,
        redis.lrange(`cio:push:{${consumer}}:push:active`, 0, -1)
      ])
      const known = causes.get(consumer) ?? new Map<string, string>()
      causes.set(consumer, known)
      // First the batch: what is in both comes again for either reason.
      for (const [entry] of pending)
        known.set(await eventAt(entry), `${cause}: not acknowledged in the log yet`)
      for (const job of active) {
        const entry = /^0-(\d+-\d+)/.exec(job)?.[1] ?? ''
        const id = await eventAt(entry)
        if (!known.has(id)) known.set(id, `${cause}: its request was under way`)
      }
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

  async function eventAt(entry: string): Promise<string> {
    const [found] = await redis.xrange(STREAM, entry, entry)
    const fields = found?.[1] ?? []
    return JSON.parse(fields[fields.indexOf('event') + 1] ?? '{}').id
  }
}
