import t from 'tap'
import { timeOf } from '../../../src/cli/consumers/report.ts'

t.test('the time of an entry is in its id; an id that is beyond the range of a date has none', async t => {
  t.equal(timeOf('1795749234567-3'), '2026-11-27T03:13:54.567Z')
  t.equal(timeOf('18446744073709551615-0'), '-')
})
