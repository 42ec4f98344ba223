import { checkEntry, type Reading, readings } from '../read-entry.ts'
import { bodies } from '../seeds.ts'
import type { Target } from '../target.ts'

export const target: Target = {
  shape: { prefixBytes: 1, json: true, maxBytes: 4096 },
  seeds: bodies.flatMap(body => readings.map((_, reading) => Buffer.concat([Buffer.of(reading), body]))),
  fuzz
}

/**
 * Any bytes become an event or a parked delivery. An event is valid JSON, a CloudEvent, without addresses, and not
 * changed by a second pass. The first byte selects the policy.
 */
function fuzz(data: Buffer): void {
  checkEntry(readings[(data[0] ?? 0) % readings.length] as Reading, data.subarray(1))
}
