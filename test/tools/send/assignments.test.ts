import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { stringifyExactly, withExactNumbers } from '../../../src/exact-json.ts'
import { assign, parseAssignment } from '../../../src/tools/send/assignments.ts'

/** The event as it is sent after these `--set`s. */
function changed(json: string, ...sets: readonly string[]): string {
  const event = withExactNumbers(JSON.parse(json), json)
  return stringifyExactly(
    sets.reduce<unknown>((value, text) => {
      const assignment = parseAssignment(text)
      assert.ok(assignment)
      return assign(value, assignment)
    }, event)
  )
}

t.test('a field is set to JSON or text, and numbers keep their digits', async t => {
  const rows: readonly (readonly [string, string, string])[] = [
    ['{"a":1}', 'a=2', '{"a":2}'],
    ['{"a":1}', 'a=8202522731445525542', '{"a":8202522731445525542}'],
    ['{"a":1}', 'a=19.90', '{"a":19.90}'],
    ['{"a":1}', 'a=+14155550123', '{"a":"+14155550123"}'],
    ['{"a":1}', 'a=0012', '{"a":"0012"}'],
    ['{"a":1}', 'a="2"', '{"a":"2"}'],
    ['{"a":1}', 'a=', '{"a":""}'],
    ['{"a":1}', 'a=x=y', '{"a":"x=y"}'],
    ['{"a":1}', 'a={"b":[1.0]}', '{"a":{"b":[1.0]}}'],
    ['{"a":1}', 'b.c.d=null', '{"a":1,"b":{"c":{"d":null}}}'],
    ['{"a":null}', 'a.b=true', '{"a":{"b":true}}'],
    ['{"a":[1,2]}', 'a.1=3', '{"a":[1,3]}'],
    ['{"a":[1,2]}', 'a.2.b=3', '{"a":[1,2,{"b":3}]}'],
    ['{}', 'a.0.b=3', '{"a":[{"b":3}]}'],
    ['{}', '__proto__.a=1', '{"__proto__":{"a":1}}'],
    ['{}', 'toString.a=1', '{"toString":{"a":1}}'],
    [
      '{"id":8202522731445525542,"price":19.90,"x":1e400}',
      'a=1',
      '{"id":8202522731445525542,"price":19.90,"x":1e400,"a":1}'
    ]
  ]
  for (const [before, set, after] of rows) t.equal(changed(before, set), after, set)
})

t.test('a text or number as parent, or an index beyond the end, is refused', async t => {
  for (const set of ['a.b=1', 'n.b=1', 'l.3=1', 'l.x=1', 'l.-1=1'])
    t.throws(() => changed('{"a":"text","n":8202522731445525542,"l":[1,2]}', set), RangeError, set)
  for (const set of ['a', '=1', 'a..b=1', '.a=1', 'a.=1']) t.equal(parseAssignment(set), undefined, set)
})

t.test('any path is set, and everything else is unchanged', async () => {
  const name = fc
    .string({ minLength: 1, maxLength: 5 })
    .filter(text => !/[.=]/.test(text) && !/^\d+$/.test(text))
  const number = fc.stringMatching(/^-?(?:0|[1-9]\d{0,30})(?:\.\d{1,20})?(?:e[+-]?\d{1,3})?$/)
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 2, maxLength: 5 }), number, number, (path, kept, set) => {
      const [first = ''] = path
      const other = `other-${first}`
      const after = changed(`{${JSON.stringify(other)}:${kept}}`, `${path.join('.')}=${set}`)
      const nested = path.reduceRight((inner, key) => `{${JSON.stringify(key)}:${inner}}`, set)
      assert.equal(after, `{${JSON.stringify(other)}:${kept},${nested.slice(1)}`)
    })
  )
})
