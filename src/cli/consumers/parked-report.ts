// Tested by test/cli/consumers/parked.slow.test.ts.

import { formatDuration } from '../../duration.ts'
import type { ParkedSummary } from '../../tools/parked/summary.ts'
import { table } from '../table.ts'

export function parkedListText(entries: readonly ParkedSummary[], nowMs: number): string {
  if (entries.length === 0) return 'no parked deliveries\n'
  return table(entries, [
    { heading: 'DELIVERY', value: ({ delivery }) => delivery },
    { heading: 'AGE', value: ({ parked }) => formatDuration(nowMs - Date.parse(parked)) },
    { heading: 'SOURCE', value: ({ source }) => source },
    { heading: 'REASON', value: ({ reason }) => reason },
    { heading: 'OFFSET', value: ({ offset }) => offset },
    { heading: 'BYTES', value: ({ bytes }) => bytes }
  ])
}

export const parkedEntryText = (summary: ParkedSummary): string =>
  table(Object.entries(summary), [
    { heading: 'FIELD', value: ([name]) => name },
    { heading: 'VALUE', value: ([, value]) => (value === undefined ? undefined : String(value)) }
  ])
