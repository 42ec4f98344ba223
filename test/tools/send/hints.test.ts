import t from 'tap'
import { hintsFor } from '../../../src/tools/send/hints.ts'
import type { BatchSummary } from '../../../src/tools/send/load.ts'

const summary = (change: Partial<BatchSummary>): BatchSummary => ({
  deliveries: 1,
  retries: 0,
  statuses: {},
  outcomes: {},
  clockOffsetSeconds: undefined,
  durationMs: 1,
  latencyMs: undefined,
  ...change
})
const sentWith = { scheme: 'v0', keyId: '1234abcd' } as const

t.test('each kind of failure has a hint, success has none', async t => {
  t.same(hintsFor(summary({ statuses: { '200': 3, '204': 1 }, outcomes: { accepted: 3 } }), sentWith), [])
  t.match(hintsFor(summary({ statuses: { '200': 1 }, outcomes: { parked: 1 } }), sentWith), [/^parked: /])
  t.match(hintsFor(summary({ statuses: { '403': 1, '404': 1, '413': 1, '429': 1, '503': 1 } }), sentWith), [
    /^403: .*CIO_ALLOWED_IPS/,
    /^404: .*\/api\/cio\/webhook/,
    /^413: .*5 MiB/,
    /^429: .*RATE_LIMIT_WINDOW_SECONDS/,
    /^503: .*--retry/
  ])
  t.match(hintsFor(summary({ statuses: { ECONNREFUSED: 1, ENOTFOUND: 1, ETIMEDOUT: 1 } }), sentWith), [
    /^ECONNREFUSED: .*check that the service is running/,
    /^ENOTFOUND: .*check the URL/,
    /^ETIMEDOUT: .*the log of the receiver/
  ])
})

t.test('the hint for a 401 has the id of the key, the scheme, and the difference of the clocks', async t => {
  const hint = (clockOffsetSeconds: number | undefined, scheme: 'v0' | 'cdp' = 'v0') =>
    hintsFor(summary({ statuses: { '401': 1 }, clockOffsetSeconds }), { ...sentWith, scheme })[0]
  t.match(hint(3), /key 1234abcd .*scheme v0: .*the clocks agree$/)
  t.match(hint(400), /clock is 400 s ahead of this one/)
  t.match(hint(-400), /clock is 400 s behind this one/)
  t.match(hint(undefined), /compare the receiver's clock/)
  t.notMatch(hint(400, 'cdp'), /clock/, 'this scheme has no timestamp')
})
