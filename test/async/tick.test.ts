import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { onTick, TICK_MS } from '../../src/async/tick.ts'

t.test(
  'functions that were added at different times are called at the same moment, until they are stopped',
  async t => {
    const calls: { readonly name: string; readonly atMs: number }[] = []
    const record = (name: string) => () => void calls.push({ name, atMs: performance.now() })
    const stopA = onTick(record('a'))
    await sleep(TICK_MS / 3)
    const stopB = onTick(record('b'))
    await sleep(1.5 * TICK_MS)
    stopA()
    await sleep(TICK_MS)
    stopB()
    await sleep(1.5 * TICK_MS)
    const byTick = calls.map(({ name }) => name).join('')
    t.match(byTick, /^(ab){1,2}b{1,2}$/)
    const [a, b] = calls
    t.ok((b?.atMs ?? 0) - (a?.atMs ?? 0) < 20, 'at the same moment')
  }
)
