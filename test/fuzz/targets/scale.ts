import { type Reading, readAs, readings } from '../read-entry.ts'
import { texts } from '../seeds.ts'
import type { Target } from '../target.ts'

/** Large enough to show time that grows with the square of the length, small enough to run often. */
const BYTES = 64 * 1024
/** Generous, since coverage is counted and the machine may be busy. With quadratic time it would take minutes. */
const MAX_CPU_SECONDS = 4

/** Hashed values, which are searched for in the text. */
const hashed = {
  to: ['5550198642', 'ada.lovelace@example.com'],
  recipients: [{ device_id: 'a:a:a:a:b' }]
}

export const target: Target = {
  shape: { prefixBytes: 1, json: false, maxBytes: 48 },
  seeds: [...'"{[<&=%\\@+1a ', ...texts.map(text => text.toString().slice(0, 47))].map(text =>
    Buffer.from(`\0${text}`)
  ),
  fuzz
}

/**
 * A short text, repeated to 64 KiB, takes time linear in its length, as a body and as a string in an event. The first
 * byte selects the policy and which of the two.
 */
function fuzz(data: Buffer): void {
  if (data.length < 2) return
  const reading = readings[(data[0] ?? 0) % readings.length] as Reading
  const unit = data.subarray(1)
  const repeated = Buffer.alloc(BYTES, unit)
  const body =
    (data[0] ?? 0) < 128
      ? repeated
      : Buffer.from(JSON.stringify({ data: { ...hashed, failure_message: repeated.toString('utf8') } }))
  const before = process.cpuUsage()
  readAs(reading, body)
  const { user } = process.cpuUsage(before)
  if (user > MAX_CPU_SECONDS * 1e6) throw new Error(`${user / 1e6} s for ${JSON.stringify(unit.toString())}`)
}
