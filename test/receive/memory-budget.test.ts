import fc from 'fast-check'
import t from 'tap'
import { createMemoryBudget, type Reservation } from '../../src/receive/memory-budget.ts'

const LIMITS = { totalBytes: 100, evictableBytes: 60 }

interface Held {
  readonly reservation: Reservation
  bytes: number
  isEvictable: boolean
}

const step = fc.oneof(
  fc.record({
    do: fc.constant('reserve' as const),
    bytes: fc.integer({ min: 1, max: 70 }),
    evictable: fc.boolean()
  }),
  fc.record({ do: fc.constant('grow' as const), which: fc.nat(20), bytes: fc.integer({ min: 1, max: 70 }) }),
  fc.record({ do: fc.constantFrom('keep' as const, 'release' as const), which: fc.nat(20) }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.nat(1000) })
)

t.test('for any sequence of reservations the limits hold, and all memory is released', async t => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), steps => {
      let nowMs = 0
      const budget = createMemoryBudget(LIMITS, () => nowMs)
      const held = new Set<Held>()
      const sum = (evictable?: boolean): number =>
        [...held].reduce((all, one) => all + (evictable === true && !one.isEvictable ? 0 : one.bytes), 0)
      for (const one of steps) {
        if (one.do === 'wait') nowMs += one.ms
        else if (one.do === 'reserve') {
          let mine: Held | undefined
          const evict = (): void => {
            if (mine === undefined || !mine.isEvictable) throw new Error('dropped what is kept')
            held.delete(mine)
          }
          const fits = sum() - sum(true) + one.bytes <= LIMITS.totalBytes
          const reservation = budget.reserve(one.bytes, one.evictable ? evict : undefined)
          if (!one.evictable && fits && reservation === undefined)
            throw new Error('refused for evictable bodies')
          if (reservation === undefined) continue
          mine = { reservation, bytes: one.bytes, isEvictable: one.evictable }
          held.add(mine)
        } else {
          const target = [...held][one.which % Math.max(1, held.size)]
          if (target === undefined) continue
          if (one.do === 'grow') {
            if (target.reservation.grow(one.bytes)) target.bytes += one.bytes
          } else if (one.do === 'keep') {
            target.reservation.keep()
            target.isEvictable = false
          } else {
            target.reservation.release()
            target.reservation.release()
            held.delete(target)
          }
        }
        if (budget.usedBytes !== sum() || budget.usedBytes > LIMITS.totalBytes) return false
      }
      for (const { reservation } of held) reservation.release()
      return budget.usedBytes === 0
    })
  )
  t.pass()
})

t.test('the reservation with the most bytes times seconds is evicted first', async t => {
  let nowMs = 0
  const budget = createMemoryBudget(LIMITS, () => nowMs)
  const dropped: string[] = []
  const hold = (name: string, bytes: number) => budget.reserve(bytes, () => dropped.push(name))
  hold('small and old', 5)
  nowMs = 1000
  hold('large', 40)
  nowMs = 2000
  hold('large and new', 15)
  nowMs = 2100
  t.ok(hold('newest', 10))
  t.same(dropped, ['large'])
})
