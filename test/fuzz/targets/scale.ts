import { type Reading, readAs, readings } from '../read-entry.ts'
import { texts } from '../seeds.ts'
import type { Target } from '../target.ts'

/** Far more than an event has, so that time that grows with the square shows; little enough to be tried often. */
const BYTES = 64 * 1024
/**
 * Every branch is counted, and others work beside it: far more than it takes on a plain machine. With the square it
 * takes minutes.
 */
const MAX_CPU_SECONDS = 4

/** Values that are looked for in the text. */
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
 * A short text again and again, as a body of its own and as a string of an event, takes no more time than its
 * length asks for. First byte: under which policy, alone or in an event.
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
