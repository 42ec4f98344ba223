import fc from 'fast-check'
import t from 'tap'
import { stringifyExactly } from '../../src/exact-json.ts'
import { readPayload } from '../../src/receive/payload.ts'
import { anyText } from '../helpers/any-text.ts'

const RUNS = Number(process.env['PROPERTY_RUNS'] ?? 100)
const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`

t.test('a body that cannot be parsed has a reason, and the offset of the error if there is one', t => {
  const rows: readonly (readonly [string, string | Buffer, string, number | undefined])[] = [
    ['empty', '', 'not_json', 0],
    ['a form', 'event=opened', 'not_json', 0],
    ['cut off', '{"event_id": ', 'not_json', 13],
    ['a missing comma', '{"a":1 "b":2}', 'not_json', 7],
    ['a trailing comma', '{"a":1,}', 'not_json', 7],
    ['a bare word', '{"a":nul}', 'not_json', 5],
    ['a line break in a string', '{"a":"x\ny"}', 'not_json', 7],
    ['behind a byte order mark', '\uFEFF{"a" 1}', 'not_json', 8],
    ['behind what takes more than a byte', '{"ä€😀" 1}', 'not_json', 13],
    ['more than one value', '{} {}', 'not_json', 3],
    ['too deep to look for the error', '['.repeat(200_000), 'not_json', undefined],
    ['a wrong byte', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 'not_utf8', 2],
    [
      'an invalid byte behind a replacement character',
      Buffer.concat([Buffer.from('{"�":"�'), Buffer.of(0xc3, 0x28)]),
      'not_utf8',
      11
    ],
    ['half a character of four bytes', Buffer.from([0x22, 0xf0, 0x9f, 0x98, 0x22]), 'not_utf8', 1],
    ['half a character at the end', Buffer.from('{"a":"€').subarray(0, -1), 'not_utf8', 6],
    ['UTF-16', Buffer.from('{"a":1}', 'utf16le').fill(0xfe, 0, 1), 'not_utf8', 0],
    ['an array', '[1]', 'not_an_object', undefined],
    ['a number', '42', 'not_an_object', undefined],
    ['null', 'null', 'not_an_object', undefined],
    ['65 levels', nested(65), 'too_deep', undefined],
    ['a __proto__ key', '{"a":{"__proto__":{}}}', 'prototype_poisoning', undefined]
  ]
  for (const [name, body, reason, offset] of rows) {
    t.strictSame(readPayload(Buffer.from(body)), { reason, offset }, name)
  }
  t.end()
})

t.test('64 levels are not too deep, and brackets in text are not levels', t => {
  t.match(readPayload(Buffer.from(nested(64))), { isLossless: false })
  t.match(readPayload(Buffer.from(JSON.stringify({ a: '[{'.repeat(1000) }))), { isLossless: false })
  const wide = { a: Array.from({ length: 1000 }, () => ({ b: [] })) }
  t.match(readPayload(Buffer.from(JSON.stringify(wide))), { isLossless: false })
  t.end()
})

t.test('any bytes: nothing throws, and the result is that of JSON.parse, with exact digits', t => {
  const number = fc.oneof(
    fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }).map(String),
    fc.constantFrom('1e400', '19.90', '-0', '0.10', '1E3')
  )
  const text = fc
    .array(
      fc.oneof(
        number,
        fc.json().map(json => json),
        fc.constantFrom('"', '\\', ',', ':', '{', '}', '[', ']', '\uFEFF', '\ud800', '😀', ' ')
      ),
      { maxLength: 6 }
    )
    .map(parts => parts.join(''))
  const object = fc
    .array(fc.tuple(anyText(), fc.oneof(number, fc.json())), { maxLength: 5 })
    .map(pairs => `{${pairs.map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(', ')}}`)
  fc.assert(
    fc.property(fc.oneof(text, object, object), input => {
      const body = Buffer.from(input)
      const payload = readPayload(body)
      if ('reason' in payload) {
        if (payload.offset !== undefined && !(payload.offset >= 0 && payload.offset <= body.length)) {
          throw new Error(`offset ${payload.offset} of ${body.length}`)
        }
        return
      }
      const decoded = body.toString().replace(/^\uFEFF/, '')
      const written = stringifyExactly(payload.value)
      if (JSON.stringify(JSON.parse(written)) !== JSON.stringify(JSON.parse(decoded)))
        throw new Error(written)
    }),
    { numRuns: RUNS * 3 }
  )
  t.end()
})
