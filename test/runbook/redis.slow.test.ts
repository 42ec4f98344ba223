import t from 'tap'
import { testFault } from './engine.ts'
import { redisFaults } from './faults/redis.ts'

t.setTimeout(600_000)

for (const fault of redisFaults) t.test(fault.name, t => testFault(t, fault))
