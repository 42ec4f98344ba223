import { readFileSync } from 'node:fs'
import t from 'tap'
import { BOUNDED, FRESHNESS, NO_ALERT, NOT_RESENT, NOTHING_MISSED } from '../faults/check-names.ts'
import { createLedger } from '../faults/ledger.ts'
import { mutations } from '../faults/mutations.ts'
import { evaluate } from '../faults/oracle.ts'
import { checksOf } from '../faults/scenario.ts'
import { scenarios } from '../faults/scenarios/all.ts'

const page = readFileSync(new URL('../../../docs/guarantees.md', import.meta.url), 'utf8')

t.test('docs/guarantees.md names every fault scenario', async t => {
  const missing = scenarios.map(({ name }) => name).filter(name => !page.includes(`\`${name}\``))
  t.same(missing, [])
})

t.test('each mutation names a scenario and a check that exist', async t => {
  const observed = {
    ledger: createLedger(),
    verdict: evaluate(createLedger(), [], new Set(), []),
    faults: new Map(),
    processErrors: [],
    refusalReasons: {},
    seconds: 0,
    failure: undefined
  }
  const checks = checksOf({ observed, demands: { acknowledged: 0, faults: 0, retried: 0 } })
  const ofSomeScenarios = [NOT_RESENT, FRESHNESS, NOTHING_MISSED, BOUNDED, NO_ALERT]
  const names = [...checks.map(({ name }) => name), ...ofSomeScenarios]
  for (const { name, scenario, caughtBy } of mutations) {
    t.ok(
      scenarios.some(one => one.name === scenario),
      `${name}: ${scenario}`
    )
    t.same(
      caughtBy.filter(check => !names.includes(check)),
      [],
      `${name}: its checks`
    )
  }
})
