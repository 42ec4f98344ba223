// Tested by test/cli/consumers/parked.slow.test.ts.
import type { ParkedEntry } from '../../dispatch/parked.ts'
import { isoTime } from '../../duration.ts'

/** A parked delivery as `--json` prints it: everything except its body. */
export interface ParkedSummary {
  /** `<partition>-<entry id>`: what `parked show`, `replay-parked` and `drop-parked` take. */
  readonly delivery: string
  readonly parked: string
  readonly id?: string
  readonly source?: string
  readonly received?: string
  readonly reason?: string
  readonly offset?: number | undefined
  readonly bytes?: number
  readonly sha256?: string
  readonly keyId?: string
  readonly body?: 'sealed' | 'scrubbed by version 0.1'
}

export function parkedSummary({ position, parkedAtMs, delivery }: ParkedEntry): ParkedSummary {
  const place = { delivery: position, parked: isoTime(parkedAtMs) ?? 'unknown' }
  if (delivery === undefined) return place
  const { id, source, receivedAtMs, data } = delivery
  const { reason, bytes } = data
  const about = { ...place, id, source, received: isoTime(receivedAtMs) ?? 'unknown', reason, bytes }
  if (!('sealed' in data)) return { ...about, body: 'scrubbed by version 0.1' }
  const { offset, sha256, keyId } = data
  return { ...about, offset, sha256, keyId, body: 'sealed' }
}
