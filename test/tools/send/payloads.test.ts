import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { splitPayloads } from '../../../src/tools/send/payloads.ts'

const split = (text: string | Buffer, isNamedNdjson = false): readonly string[] =>
  splitPayloads(Buffer.from(text), isNamedNdjson).map(String)

t.test('a file is one delivery, or one per line if it is NDJSON', async t => {
  const pretty = '{\n  "a": [\n    1,\n    2\n  ]\n}\n'
  const rows: readonly (readonly [string, string | Buffer, readonly string[], isNamedNdjson?: boolean])[] = [
    ['two values on two lines', '{"a":1}\n{"b":2}\n', ['{"a":1}', '{"b":2}']],
    ['blank lines and Windows line ends', '\r\n{"a":1}\r\n \r\n{"b":2}\r\n', ['{"a":1}', '{"b":2}']],
    ['a damaged line among others', '{"a":1}\n{"b":\n{"c":3}', ['{"a":1}', '{"b":', '{"c":3}']],
    ['a document on several lines', pretty, [pretty]],
    ['the same in a file named .ndjson', pretty, [pretty], true],
    ['a truncated document', pretty.slice(0, -4), [pretty.slice(0, -4)]],
    ['text', 'no JSON\nat all', ['no JSON\nat all']],
    ['a value and text', '{"a":1}\ntext', ['{"a":1}\ntext']],
    ['the same in a file named .ndjson', '{"a":1}\ntext', ['{"a":1}', 'text'], true],
    ['one value, kept byte for byte', ' {"a":1}\n', [' {"a":1}\n']],
    ['one line in a file named .ndjson', '{"a":1}\n', ['{"a":1}'], true],
    ['nothing', '', []],
    ['blank lines alone', '\n \r\n', [], true],
    ['a byte order mark', '\ufeff{"a":1}', ['{"a":1}']],
    ['joined files with a mark each', '\ufeff{"a":1}\n\ufeff{"b":2}\n', ['{"a":1}', '{"b":2}']],
    ['UTF-16 as PowerShell writes it', Buffer.from('\ufeff{"ü":1}', 'utf16le'), ['{"ü":1}']],
    ['UTF-16, big-endian', Buffer.from('\ufeff{"ü":1}', 'utf16le').swap16(), ['{"ü":1}']]
  ]
  for (const [name, text, expected, isNamedNdjson] of rows)
    t.strictSame(split(text, isNamedNdjson), expected, name)
})

const object = fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 4 })
const lineBreak = fc.constantFrom('\n', '\r\n', '\n\n', '\n \t\r\n')

t.test('any objects, one per line, are one delivery each', async () => {
  fc.assert(
    fc.property(
      fc.array(object, { minLength: 2, maxLength: 6 }),
      lineBreak,
      fc.boolean(),
      (objects, end, mark) => {
        const lines = objects.map(value => JSON.stringify(value))
        assert.deepEqual(split((mark ? '\ufeff' : '') + lines.join(end) + end), lines)
      }
    )
  )
})

t.test('any object on several lines is one delivery', async () => {
  fc.assert(
    fc.property(
      object,
      fc.constantFrom(1, 2, 4, '\t'),
      fc.boolean(),
      fc.boolean(),
      (value, indent, mark, named) => {
        const text = JSON.stringify(value, null, indent)
        assert.deepEqual(split((mark ? '\ufeff' : '') + text, named), [text])
      }
    )
  )
})
