import { getEventListeners } from 'node:events'
import t from 'tap'
import { raceAbort, rejectOnAbort, withAnySignal, withTimeout } from '../../src/async/abort.ts'

const listeners = ({ signal }: AbortController): number => getEventListeners(signal, 'abort').length

t.test(
  'the signal of the work aborts with the first of the given signals, and when the work has ended',
  async t => {
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
  }
)

t.test('no listener stays on the given signals, however the work ends', async t => {
  const long = new AbortController()
  for (let n = 0; n < 20; n++) {
    await withAnySignal([long.signal], async () => t.equal(listeners(long), 1))
    await t.rejects(withAnySignal([long.signal], () => Promise.reject(new Error('as a test'))))
  }
  t.equal(listeners(long), 0)
})

const never = new Promise<never>(() => {})

t.test('raceAbort and rejectOnAbort follow the promise until the signal is aborted', async t => {
  const later = new AbortController()
  t.equal(await raceAbort(later.signal, Promise.resolve(1)), 1)
  t.equal(await rejectOnAbort(later.signal, Promise.resolve(1)), 1)
  await t.rejects(raceAbort(later.signal, Promise.reject(new Error('as a test'))), { message: 'as a test' })
  await t.rejects(rejectOnAbort(later.signal, Promise.reject(new Error('as a test'))), {
    message: 'as a test'
  })
  const waiting = [raceAbort(later.signal, never), rejectOnAbort(later.signal, never)] as const
  t.equal(listeners(later), 2, 'of the two that wait')
  later.abort()
  t.equal(await waiting[0], false)
  await t.rejects(waiting[1], { message: 'aborted before there was an answer' })
  t.equal(await raceAbort(later.signal, Promise.resolve(1)), false, 'aborted before the call')
  await t.rejects(rejectOnAbort(later.signal, Promise.resolve(1)), { message: /^aborted/ })
})

t.test('withTimeout follows the promise for as long as the limit', async t => {
  t.equal(await withTimeout(60_000, Promise.resolve(1)), 1)
  await t.rejects(withTimeout(60_000, Promise.reject(new Error('as a test'))), { message: 'as a test' })
  t.equal(await withTimeout(1, never), undefined)
})
