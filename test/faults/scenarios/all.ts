import type { Scenario } from '../scenario.ts'
import { clocks } from './clocks.ts'
import { crowds } from './crowds.ts'
import { deploys } from './deploys.ts'
import { floods } from './floods.ts'
import { kills } from './kills.ts'
import { memory } from './memory.ts'
import { network } from './network.ts'
import { power } from './power.ts'
import { processes } from './processes.ts'
import { states } from './states.ts'
import { storms } from './storm.ts'
import { topologies } from './topologies.ts'

/** In the order of a run. */
export const scenarios: readonly Scenario[] = [
  ...kills,
  ...processes,
  ...power,
  ...states,
  ...memory,
  ...clocks,
  ...network,
  ...topologies,
  ...deploys,
  ...crowds,
  ...floods,
  ...storms
]
