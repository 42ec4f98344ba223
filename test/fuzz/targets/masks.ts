import { addressOf, isAddress, maskText, textMask } from '../../../src/sanitize/mask-text.ts'
import { mayBePersonal } from '../../../src/sanitize/prefilter.ts'
import { allTextKinds } from '../../../src/sanitize/text-kinds.ts'
import { cleanUrl } from '../../../src/sanitize/url.ts'
import { texts } from '../seeds.ts'
import type { Target } from '../target.ts'

const seeds = [
  ...texts.map(text => text.toString()),
  'https://ada:pw@x.example/auth/reset/3f9cA7d1e0b24a5f9d3f9cA7d1e0?to=https%3A%2F%2Fy.example',
  'tel=%2B1%20415%20555%200123 0049 151 12345678 4111.1111.1111.1111 123-45-6789',
  'rfc822;ada=40example.com=\n&#64;&nbsp;\\u0040%2540 +1000 2026 lodash@4.17.21 hero@2x.png'
]

export const target: Target = {
  shape: { prefixBytes: 1, json: false, maxBytes: 512 },
  seeds: seeds.map(text => Buffer.from(`\xff${text}`, 'latin1')),
  fuzz
}

/**
 * The masks for text and URLs accept any string, a second pass changes nothing, and the prefilter misses nothing. The
 * bits of the first byte select the kinds of personal data.
 */
function fuzz(data: Buffer): void {
  const text = data.subarray(1).toString('utf8')
  const kinds = new Set(allTextKinds.filter((_, kind) => (((data[0] ?? 0) >> kind) & 1) === 1))
  const mask = textMask(kinds)
  same(mask(text), text, mask)
  same(cleanUrl(text), text, cleanUrl)
  if (!mayBePersonal(text) && maskText(text, new Set(allTextKinds)) !== text)
    throw new Error(`missed by the prefilter: ${text}`)
  if (isAddress(text) && addressOf(text) === undefined)
    throw new Error(`isAddress, but no addressOf: ${text}`)
}

function same(once: string, text: string, act: (text: string) => string): void {
  if (act(once) !== once) throw new Error(`not idempotent:\n${text}\n${once}\n${act(once)}`)
}
