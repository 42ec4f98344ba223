import t from 'tap'
import { testFault } from './engine.ts'
import { receivingFaults } from './faults/receiving.ts'

t.setTimeout(600_000)

for (const fault of receivingFaults) t.test(fault.name, t => testFault(t, fault))
