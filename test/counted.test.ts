import t from 'tap'
import { counted } from '../src/counted.ts'

t.test('one thing has the singular, none and several have the plural', t => {
  t.equal(counted(1, 'event'), '1 event')
  t.equal(counted(0, 'event'), '0 events')
  t.equal(counted(1200, 'delivery', 'deliveries'), '1,200 deliveries')
  t.end()
})
