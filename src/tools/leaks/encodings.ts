/** How a value can be written down. */
export type Encoding = 'plain' | 'base64' | 'base64url' | 'url' | 'hex' | 'json' | 'utf16'

export interface EncodedValue {
  readonly encoding: Encoding
  readonly bytes: Buffer
}

/**
 * Every form in which a value is looked for, none twice. Of base64 there are three: where a value lies in a longer
 * text decides how its bits fall on the characters. The characters at its ends that also hold bits of its
 * neighbours are left out.
 */
export function encodingsOf(value: string): readonly EncodedValue[] {
  const bytes = Buffer.from(value, 'utf8')
  const base64 = [0, 1, 2].map(before => base64Core(bytes, before))
  const hex = bytes.toString('hex')
  const url = encodeURIComponent(value)
  const strictUrl = url.replace(/[!'()*._~-]/g, percent)
  const isHex = /^[0-9a-f]+$/i.test(value)

  const texts: readonly (readonly [Encoding, string])[] = [
    ['plain', value],
    // Hexadecimal digits mean the same in either case.
    ...(isHex
      ? ([
          ['plain', value.toLowerCase()],
          ['plain', value.toUpperCase()]
        ] as const)
      : []),
    ...base64.map(text => ['base64', text] as const),
    ...base64.map(text => ['base64url', text.replaceAll('+', '-').replaceAll('/', '_')] as const),
    ...[url, strictUrl].flatMap(text =>
      [text, lowerCaseEscapes(text), text.replaceAll('%20', '+')].map(form => ['url', form] as const)
    ),
    ['json', JSON.stringify(value).slice(1, -1)],
    ['json', JSON.stringify(value).slice(1, -1).replaceAll('/', '\\/')],
    ['hex', hex],
    ['hex', hex.toUpperCase()]
  ]
  const seen = new Set<string>()
  const forms: EncodedValue[] = []
  for (const [encoding, text] of texts) {
    if (seen.has(text)) continue
    seen.add(text)
    forms.push({ encoding, bytes: Buffer.from(text, 'utf8') })
  }
  // What Windows' tools write; with the zero bytes before or after, it is the same but for its first byte.
  forms.push({ encoding: 'utf16', bytes: Buffer.from(value, 'utf16le').subarray(0, -1) })
  return forms
}

/** The characters of base64 that are the value's alone when `before` bytes stand in front of it. */
function base64Core(bytes: Buffer, before: number): string {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64')
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6))
}

const percent = (character: string): string =>
  `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`

const lowerCaseEscapes = (text: string): string =>
  text.replace(/%[0-9A-F]{2}/g, sequence => sequence.toLowerCase())
