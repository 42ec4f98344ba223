import { judgeText, readings } from '../read-entry.ts'
import { bodies, texts } from '../seeds.ts'
import type { Target } from '../target.ts'

export const target: Target = {
  shape: { prefixBytes: 0, json: false, maxBytes: 2048 },
  seeds: [...bodies, ...bodies.map(body => Buffer.from(JSON.stringify(body.toString()))), ...texts],
  fuzz
}

/** Any text is scrubbed without a throw, and a second pass changes nothing, under each policy. */
function fuzz(data: Buffer): void {
  const text = data.toString('utf8')
  for (const { sanitizer } of readings) judgeText(sanitizer, sanitizer.text(text))
}
