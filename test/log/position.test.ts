import t from 'tap'
import { formatPosition, isPosition, parsePosition } from '../../src/log/position.ts'

t.test('a position is read back as it was written, and other text is not a position', t => {
  const position = formatPosition(12, '1795510800123-4')
  t.equal(position, '12-1795510800123-4')
  t.same(parsePosition(position), { partition: 12, id: '1795510800123-4' })
  t.ok(isPosition(position))
  for (const text of ['', '12', '1795510800123-4', '12-1795510800123-4-5', 'a-1-1', '1-1-1 ', '-1-1-1']) {
    t.notOk(isPosition(text), JSON.stringify(text))
  }
  t.end()
})
