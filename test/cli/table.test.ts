import fc from 'fast-check'
import t from 'tap'
import { fieldList, table } from '../../src/cli/table.ts'
import { anyText } from '../helpers/any-text.ts'

const cell = fc.option(fc.oneof(anyText(), fc.integer()), { nil: undefined })

t.test('columns are as wide as their content, numbers to the right, "-" for an empty cell', async t => {
  const rows = [
    { name: 'crm', lag: 7 },
    { name: 'data warehouse', lag: 1200 },
    { name: '', lag: undefined }
  ]
  const text = table(rows, [
    { heading: 'NAME', value: ({ name }) => name },
    { heading: 'LAG', value: ({ lag }) => lag }
  ])
  t.equal(
    text,
    ['NAME            LAG', 'crm                7', 'data warehouse  1200', '-               -', ''].join(
      '\n'
    )
  )
})

t.test('whatever its cells contain, a table has a line for the headings and one per row', async () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell)), rows => {
      const text = table(rows, [
        { heading: 'A', value: ([a]) => a },
        { heading: 'B', value: ([, b]) => b }
      ])
      return text.split(/[\p{Cc}\p{Zl}\p{Zp}]/u).length === rows.length + 2
    })
  )
})

t.test('a field list has a line per field that has a value', async t => {
  t.equal(
    fieldList([
      ['in use', 'a1b2\n'],
      ['previous', undefined]
    ]),
    '  in use         a1b2\\n'
  )
})
