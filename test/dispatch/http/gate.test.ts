import t from 'tap'
import { createFixedLimit } from '../../../src/dispatch/http/concurrency-limit.ts'
import { createGate, type Gate } from '../../../src/dispatch/http/gate.ts'

const never = new AbortController().signal

function openGate(concurrency: number): Gate {
  const gate = createGate({
    limit: createFixedLimit(concurrency),
    retryDelayMs: 50,
    maxRetryDelayMs: 60_000,
    onIdleProbe: () => {},
    onRecovered: async () => {}
  })
  gate.open()
  return gate
}

/** An open gate whose receiver is down. The last permit is returned. */
async function downGate(retryAfterMs?: number): Promise<Gate> {
  const gate = openGate(4)
  await gate.acquire(never)
  for (let failures = 0; failures < 2; failures++)
    gate.failed({ cause: 'connection', atMs: Date.now(), retryAfterMs })
  gate.release()
  return gate
}

async function grantedWithin(limitMs: number, gate: Gate): Promise<boolean> {
  const limit = new AbortController()
  const timer = setTimeout(() => limit.abort(), limitMs)
  const granted = await gate.acquire(limit.signal)
  clearTimeout(timer)
  return granted
}

t.test(
  'down: after a probe without an outcome, for example because the lease was lost, another one follows',
  async t => {
    const gate = await downGate()
    t.ok(await grantedWithin(1000, gate), 'a probe')
    gate.release()
    t.ok(await grantedWithin(1000, gate), 'the next one')
  }
)

t.test(
  'a clock that is set back by an hour does not extend the pause that the receiver asked for',
  async t => {
    const gate = await downGate(200)
    const { now } = Date
    t.teardown(() => {
      Date.now = now
    })
    Date.now = () => now() - 3_600_000
    t.ok(gate.holdMs() <= 200)
    t.ok(await grantedWithin(1000, gate), 'a probe')
    gate.delivered(1)
    gate.release()
    t.ok(await grantedWithin(1000, gate), 'it is up')
  }
)

t.test(
  'the receiver is down after as many failures in a row as are in flight, and at least five',
  async t => {
    for (const [concurrency, inFlight, failures] of [
      [1, 1, 5],
      [50, 5, 5],
      [50, 50, 50],
      [500, 500, 500]
    ] as const)
      for (const cause of ['other', 'overload'] as const) {
        const gate = openGate(concurrency)
        // It begins with a limit of four, and the first success is taken for the end of an outage.
        for (let success = 0; success < concurrency; success++) gate.delivered(1)
        for (let request = 0; request < inFlight; request++) await gate.acquire(never)
        for (let failure = 1; failure < failures; failure++) gate.failed({ cause, atMs: 1 })
        // The row begins again.
        gate.delivered(1)
        for (let failure = 1; failure <= failures; failure++)
          t.equal(gate.failed({ cause, atMs: 1 }), false, `${failure} of ${failures}`)
        t.equal(
          gate.failed({ cause, atMs: 1 }),
          true,
          `${cause}, ${inFlight} of ${concurrency} in flight: down`
        )
        gate.shut()
      }
  }
)
