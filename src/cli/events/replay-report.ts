// Tested by test/cli/events/replay.slow.test.ts.
import type { ReplayedRange } from '../../dispatch/replay.ts'

/** How many events a consumer gets again, why not the others, and what readers of a plain group have to do. */
export function replayedText(
  consumer: string,
  { replayed, skipped, notWanted, type }: ReplayedRange & { readonly type: string },
  keyPrefix: string
): string {
  const lines = [`${replayed} replayed to ${consumer}`]
  if (skipped > 0)
    lines.push(`${skipped} not replayed: ${consumer} gets them anyway, or they were trimmed meanwhile`)
  if (notWanted > 0) {
    lines.push(
      `${notWanted} not replayed: ${consumer} does not want them (types and backfilled in CONSUMERS_FILE)`
    )
  }
  if (replayed + skipped + notWanted === 0) lines.push('no event in the log matches')
  if (type === 'redis' && replayed > 0) {
    lines.push(
      `${consumer} is a plain Redis Streams group: the events are pending there for a consumer named cio-webhook. XREADGROUP with > does not return them. Its readers get them with XAUTOCLAIM ${keyPrefix}events:{0} ${consumer} READER MIN-IDLE-MS 0, once they have been idle for MIN-IDLE-MS; other partitions likewise`
    )
  }
  return `${lines.join('\n')}\n`
}
