import t from 'tap'
import { RequestLimit } from '../../../src/tools/doctor/request-limit.ts'

/** Sends 100 requests at once to an endpoint that needs a second for each. @returns how many it had, at each start */
async function inFlightAtStarts(durationMs: (inFlight: number) => number): Promise<readonly number[]> {
  const limit = new RequestLimit(1000)
  const starts: number[] = []
  let inFlight = 0
  const request = async () => {
    starts.push(++inFlight)
    const crowd = inFlight
    // Lets the others start, as many as may.
    await new Promise(resolve => setImmediate(resolve))
    inFlight--
    return { durationMs: durationMs(crowd) }
  }
  await Promise.all(Array.from({ length: 100 }, () => limit.run(request)))
  return starts
}

t.test('an endpoint that answers many requests at a time gets more of them, up to a limit', async t => {
  const starts = await inFlightAtStarts(() => 1000)
  t.equal(starts.length, 100)
  t.equal(Math.max(...starts.slice(0, 4)), 4)
  t.equal(Math.max(...starts), 16)
})

t.test('an endpoint that answers one request after the other is not crowded', async t => {
  const starts = await inFlightAtStarts(inFlight => inFlight * 1000)
  t.equal(starts.length, 100)
  t.ok(Math.max(...starts.slice(0, 20)) <= 5, String(starts))
  t.ok(Math.max(...starts.slice(20)) <= 3, String(starts))
})

t.test('a request that fails makes room for the next', async t => {
  const limit = new RequestLimit(10)
  const failing = Array.from({ length: 20 }, () => limit.run(() => Promise.reject(new Error('failed'))))
  t.same(new Set((await Promise.allSettled(failing)).map(({ status }) => status)), new Set(['rejected']))
})
