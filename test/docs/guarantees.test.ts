import { readFileSync } from 'node:fs'
import t from 'tap'
import { createLedger } from '../faults/ledger.ts'
import { breaches, lostPatches } from '../faults/mutations.ts'
import { judge } from '../faults/oracle.ts'
import { checksOf } from '../faults/scenario.ts'
import { scenarios } from '../faults/scenarios/all.ts'
import { FRESHNESS } from '../faults/scenarios/clocks.ts'
import { BOUNDED, NO_ALERT } from '../faults/scenarios/floods.ts'
import { NOTHING_MISSED } from '../faults/scenarios/memory.ts'

const page = readFileSync(new URL('../../../docs/guarantees.md', import.meta.url), 'utf8')

t.test('every fault that is played stands on the page of guarantees', async t => {
  const missing = scenarios.map(({ name }) => name).filter(name => !page.includes(`\`${name}\``))
  t.same(missing, [])
})

t.test('a law broken on purpose is looked for by a scenario there is, in a check there is', async t => {
  const observed = {
    ledger: createLedger(),
    verdict: judge(createLedger(), [], new Set(), []),
    faults: new Map(),
    misdeeds: [],
    seconds: 0,
    broke: undefined
  }
  const checks = checksOf({ observed, demands: { acknowledged: 0, faults: 0, retried: 0 } })
  // Checks of some scenarios alone: on the wire, with clocks, with a small Redis, of the floods.
  const names = [
    ...checks.map(({ name }) => name),
    'the service sent nothing to Redis again of its own accord',
    FRESHNESS,
    NOTHING_MISSED,
    BOUNDED,
    NO_ALERT
  ]
  for (const breach of breaches) {
    const { name, scenario, caughtBy } = breach
    t.ok(
      scenarios.some(one => one.name === scenario),
      `${name}: ${scenario}`
    )
    t.ok(names.includes(caughtBy), `${name}: ${caughtBy}`)
    t.same(lostPatches(breach), [], `${name}: the code still says what is broken`)
  }
})
