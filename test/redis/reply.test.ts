import t from 'tap'
import { flatToMap } from '../../src/redis/reply.ts'

t.test('a flat reply becomes a map, also where a value is named like a field', t => {
  t.same(
    [...flatToMap(['name', 'lag', 'lag', 3, 'pending', null])],
    [
      ['name', 'lag'],
      ['lag', 3],
      ['pending', null]
    ]
  )
  t.same([...flatToMap(['field without a value'])], [])
  t.same([...flatToMap(['a', 1, 'a', 2])], [['a', 2]])
  t.end()
})
