import type { Fault } from '../fault.ts'
import { consumerFaults } from './consumers.ts'
import { receivingFaults } from './receiving.ts'
import { redisFaults } from './redis.ts'

/** In the order of the table in docs/runbook.md. */
export const faults: readonly Fault[] = [...redisFaults, ...receivingFaults, ...consumerFaults]
