import t from 'tap'
import { createIncident } from '../../src/async/incident.ts'

t.test(
  'a failure is reported when it begins, when its cause changes, and once per minute until it ends',
  async t => {
    let nowMs = 1000
    const incident = createIncident(() => nowMs)
    const at = (ms: number, act: () => number | undefined): number | undefined => {
      nowMs = ms
      return act()
    }
    const report = (cause: string) => () => incident.report(cause)
    t.equal(at(1000, incident.resolve), undefined, 'nothing to end')
    t.equal(at(1000, report('a')), 0)
    t.equal(at(1500, report('a')), undefined)
    t.equal(at(2000, report('b')), 1000, 'another cause')
    t.equal(at(2500, report('a')), undefined, 'causes that alternate')
    t.equal(at(60_999, report('a')), undefined)
    t.equal(at(61_000, report('a')), 60_000)
    t.equal(at(70_000, incident.resolve), 69_000)
    t.equal(at(70_000, incident.resolve), undefined)
    t.equal(at(80_000, report('a')), 0, 'a new failure')
  }
)
