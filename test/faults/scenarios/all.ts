import type { Scenario } from '../scenario.ts'
import { kills } from './kills.ts'
import { network } from './network.ts'
import { power } from './power.ts'
import { states } from './states.ts'

/** In the order in which they are run. */
export const scenarios: readonly Scenario[] = [...kills, ...power, ...states, ...network]
