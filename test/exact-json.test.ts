import { deepStrictEqual as deepEqual, strictEqual as equal } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { isLosslessNumber, stringifyExactly, withExactNumbers } from '../src/exact-json.ts'
import { anyText } from './helpers/any-text.ts'

const read = (text: string): unknown => withExactNumbers(JSON.parse(text), text)

t.test('a number that Number() would change keeps its digits', t => {
  for (const digits of [
    '8202522731445525542',
    '4611686018427387904',
    '19.90',
    '1e400',
    '-0',
    '0.1000000000000000055',
    '1E2'
  ]) {
    for (const text of [`{"a":${digits}}`, `[${digits}]`, `{"a":[1,{"b": ${digits} }]}`]) {
      t.equal(stringifyExactly(read(text)), text.replaceAll(' ', ''), text)
    }
  }
  t.end()
})

t.test('exact numbers, and numbers inside strings, leave the value as JSON.parse made it', t => {
  for (const text of [
    '{"a":1,"b":19.5,"c":-3}',
    '{"a":"x\\\\\\": 8202522731445525542, 1.0","b":[2]}',
    '{}',
    '"1.0"'
  ]) {
    const value: unknown = JSON.parse(text)
    t.equal(withExactNumbers(value, text), value, text)
  }
  t.end()
})

t.test('the last of two equal keys counts, and __proto__ is a key like any other', t => {
  t.equal(stringifyExactly(read('{"a":1,"a":1.0}')), '{"a":1.0}')
  t.equal(stringifyExactly(read('{"__proto__":{"x":1.0}}')), '{"__proto__":{"x":1.0}}')
  t.end()
})

t.test('whatever the JSON, digits come out as they went in, and all else as JSON.parse has it', t => {
  const integer = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }).map(String)
  const decimal = fc
    .tuple(integer, fc.stringMatching(/^\d{1,20}$/))
    .map(([whole, rest]) => `${whole}.${rest}`)
  const exponent = fc.tuple(decimal, fc.integer({ min: -400, max: 400 })).map(([head, e]) => `${head}e${e}`)
  const { json } = fc.letrec<{ json: string }>(tie => ({
    json: fc.oneof(
      { maxDepth: 4 },
      fc.oneof(integer, decimal, exponent),
      anyText().map(text => JSON.stringify(text)),
      fc.constantFrom('true', 'false', 'null'),
      fc.array(tie('json')).map(items => `[${items.join(',')}]`),
      fc
        .uniqueArray(fc.tuple(fc.string(), tie('json')), { selector: ([key]) => key })
        .map(pairs => `{${pairs.map(([key, item]) => `${JSON.stringify(key)}:${item}`).join(',')}}`)
    )
  }))
  fc.assert(
    fc.property(json, text => {
      const value = read(text)
      // Object keys that look like array indexes move to the front; a second round is in that order already.
      const once = stringifyExactly(value)
      deepEqual(JSON.parse(once), JSON.parse(text))
      const digits = (json: string) =>
        json.replaceAll(/"(?:[^"\\]|\\.)*"/g, '').match(/-?\d[\d.eE+-]*/g) ?? []
      deepEqual(digits(once).sort(), digits(text).sort())
      equal(stringifyExactly(read(once)), once)
    }),
    { numRuns: 300 }
  )
  t.pass('no counterexample')
  t.end()
})

t.test('only what is inexact is a LosslessNumber', t => {
  const value = read('{"a":1,"b":1.0}') as { a: unknown; b: unknown }
  t.equal(value.a, 1)
  t.ok(isLosslessNumber(value.b))
  t.end()
})
