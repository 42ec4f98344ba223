// Tested by test/console/pages/consumers.slow.test.ts.
import type { ConsumerActions } from './open-actions.ts'

type Counts = Readonly<Record<string, number>>

/** Consumers that are remembered. */
const MAX_CONSUMERS = 100

/**
 * Counts dead letters by reason, again only if their total has changed: with ten thousand dead letters it takes fifty
 * calls. Letters that are replaced by as many others of another reason are counted late.
 */
export function reasonCounts(
  actions: Pick<ConsumerActions, 'deadByReason'>
): (consumer: string, total: number) => Promise<Counts> {
  const known = new Map<string, { readonly total: number; readonly counts: Counts }>()
  return async (consumer, total) => {
    const last = known.get(consumer)
    if (last?.total === total) return last.counts
    const counts = await actions.deadByReason(consumer)
    if (known.size >= MAX_CONSUMERS) known.clear()
    known.set(consumer, { total, counts })
    return counts
  }
}
