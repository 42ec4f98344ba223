import { getEventListeners } from 'node:events'
import t from 'tap'
import { withAnySignal } from '../../src/async/any-signal.ts'

const listeners = ({ signal }: AbortController): number => getEventListeners(signal, 'abort').length

t.test('work is told of the first signal that aborts, and of its own end', async t => {
  const [one, two] = [new AbortController(), new AbortController()]
  const signal = await withAnySignal([one.signal, two.signal], async signal => {
    t.notOk(signal.aborted)
    two.abort()
    t.ok(signal.aborted)
    return signal
  })
  t.ok(await withAnySignal([one.signal], async signal => signal).then(({ aborted }) => aborted))
  t.ok(signal.aborted)
  await withAnySignal([one.signal, two.signal], async signal =>
    t.ok(signal.aborted, 'one that aborted before')
  )
})

t.test('nothing stays on the signals, however the work ends', async t => {
  const long = new AbortController()
  for (let n = 0; n < 20; n++) {
    await withAnySignal([long.signal], async () => t.equal(listeners(long), 1))
    await t.rejects(withAnySignal([long.signal], () => Promise.reject(new Error('as a test'))))
  }
  t.equal(listeners(long), 0)
})
