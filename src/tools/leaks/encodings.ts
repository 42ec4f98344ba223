// Tested by test/tools/leaks/detector.slow.test.ts.

/** How a value can be written. */
export type Encoding = 'plain' | 'base64' | 'base64url' | 'url' | 'hex' | 'json' | 'utf16'

/** Every form of a value that is searched for, without repetition. */
export function encodingsOf(
  value: string
): readonly { readonly encoding: Encoding; readonly bytes: Buffer }[] {
  const bytes = Buffer.from(value, 'utf8')
  const base64 = [0, 1, 2].map(before => base64Core(bytes, before))
  const hex = bytes.toString('hex')
  const url = encodeURIComponent(value)
  const strictUrl = url.replace(/[!'()*._~-]/g, percent)
  const json = JSON.stringify(value).slice(1, -1)
  // Hexadecimal digits mean the same in either case.
  const plain = /^[0-9a-f]+$/i.test(value) ? [value, value.toLowerCase(), value.toUpperCase()] : [value]

  const texts: readonly (readonly [Encoding, readonly string[]])[] = [
    ['plain', plain],
    ['base64', base64],
    ['base64url', base64.map(text => text.replaceAll('+', '-').replaceAll('/', '_'))],
    ['url', [url, strictUrl].flatMap(text => [text, lowerCaseEscapes(text), text.replaceAll('%20', '+')])],
    ['json', [json, json.replaceAll('/', '\\/')]],
    ['hex', [hex, hex.toUpperCase()]]
  ]
  const encodingByText = new Map<string, Encoding>()
  for (const [encoding, forms] of texts) {
    for (const text of forms) if (!encodingByText.has(text)) encodingByText.set(text, encoding)
  }
  return [
    ...[...encodingByText].map(([text, encoding]) => ({ encoding, bytes: Buffer.from(text, 'utf8') })),
    // Without its last byte it matches in both byte orders.
    { encoding: 'utf16', bytes: Buffer.from(value, 'utf16le').subarray(0, -1) }
  ]
}

/**
 * The base64 of a value that starts after `before` bytes of a longer text: the position, modulo 3, decides how the
 * bits are divided into characters. Characters at the ends that also hold bits of the neighbours are left out.
 */
function base64Core(bytes: Buffer, before: number): string {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6))
}

const percent = (character: string): string =>
  `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`

const lowerCaseEscapes = (text: string): string =>
  text.replace(/%[0-9A-F]{2}/g, sequence => sequence.toLowerCase())
