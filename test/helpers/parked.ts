import { parseDelivery, toLogEntry } from '../../src/receive/log-entry.ts'
import type { VerifiedBody } from '../../src/receive/signature.ts'
import { testSource } from './source.ts'

/** The fields of a parked delivery whose body is an event by the rules of today: a version with other rules parked it. */
export function readableParkedEntry(body: string): readonly string[] {
  const context = {
    source: testSource(),
    timestamp: '1795510800',
    idHeader: undefined,
    receivedAtMs: Date.now(),
    parkedAs: undefined,
    fromDoctor: false
  }
  const broken = parseDelivery(Buffer.from('{') as VerifiedBody, context)
  const { type, event } = toLogEntry({ ...broken, body: Buffer.from(body) as VerifiedBody })
  return ['type', type, 'event', event]
}
