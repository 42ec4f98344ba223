import t from 'tap'
import { createEventBudget } from '../../src/group/event-budget.ts'

const EVENT = 'x'.repeat(1000)

t.test('a budget is spent by the events of all partitions, with their overhead', t => {
  const budget = createEventBudget(10_000)
  const [first, second] = [budget.open(), budget.open()]
  first.add(EVENT)
  first.add(EVENT)
  second.add(EVENT)
  t.notOk(budget.isSpent, 'three events of 3,300 bytes')
  second.add(EVENT)
  t.ok(budget.isSpent)
  t.strictSame([first.entries, first.characters], [2, 2000])
  t.strictSame([second.entries, second.characters], [2, 2000])
  first.remove(EVENT)
  t.notOk(budget.isSpent)
  t.strictSame([first.entries, first.characters], [1, 1000])
  t.end()
})

t.test('events of a partition that was left do not count, also when they are acknowledged late', t => {
  const budget = createEventBudget(3000)
  const [left, other] = [budget.open(), budget.open()]
  left.add(EVENT)
  t.ok(budget.isSpent)
  left.close()
  left.close()
  t.notOk(budget.isSpent)
  left.remove(EVENT)
  other.add(EVENT)
  t.ok(budget.isSpent, 'the late acknowledgement gave nothing back twice')
  t.end()
})
