import t from 'tap'
import { testFault } from './engine.ts'
import { consumerFaults } from './faults/consumers.ts'

t.setTimeout(600_000)

for (const fault of consumerFaults) t.test(fault.name, t => testFault(t, fault))
