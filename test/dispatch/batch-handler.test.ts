import t from 'tap'
import { createBatchHandler, PublishFailedError } from '../../src/dispatch/batch-handler.ts'
import type { PushContext } from '../../src/dispatch/push-context.ts'
import type { Sink } from '../../src/dispatch/sink.ts'
import type { ReadEntry } from '../../src/group/fenced-read.ts'
import { cloudEventText } from '../helpers/outgoing.ts'

const never = new AbortController().signal

const settings = {
  name: 'work',
  type: 'amqp',
  from: 'start',
  url: 'amqp://127.0.0.1',
  exchange: 'cio',
  username: undefined,
  password: undefined
} as const

const entry = (sequence: number, event: string): ReadEntry => ({
  partition: 0,
  id: `1-${sequence}`,
  type: 'io.customer.email.opened',
  event,
  deliveryCount: 0,
  fields: ['event', event]
})
const batch = [entry(1, cloudEventText('good')), entry(2, '{not json'), entry(3, cloudEventText('large'))]

/** @param add adds a dead letter */
function open(publish: Sink['publish'], add: () => Promise<void>) {
  const seen = { dead: [] as string[], outcomes: [] as string[], errors: [] as unknown[] }
  const context = {
    now: Date.now,
    tracing: undefined,
    countAttempts: () => {},
    attempts: { record: ({ outcome }: { outcome: string }) => seen.outcomes.push(outcome) },
    reporter: { report: () => {}, reportMalformed: () => {} },
    deadLetters: {
      add: async (_: string, { position }: { position: string }, { reason }: { reason: string }) => {
        await add()
        seen.dead.push(`${position} ${reason}`)
      }
    }
  } as unknown as PushContext
  const sink = { publish, close: async () => {} }
  return { ...seen, handle: createBatchHandler(settings, sink, context, error => seen.errors.push(error)) }
}

t.test('a malformed entry becomes one dead letter, however often its batch fails', async t => {
  let calls = 0
  const { handle, dead, outcomes } = open(
    async () => {
      if (++calls <= 3) throw new Error('the broker is down')
      return []
    },
    async () => {}
  )
  for (let failures = 0; failures < 3; failures++) await t.rejects(handle(batch, never), PublishFailedError)
  t.same(dead, [])
  await handle(batch, never)
  t.same(dead, ['0-1-2 malformed'])
  t.same(outcomes, ['failed', 'failed', 'failed', 'delivered'])
})

t.test('while a dead letter cannot be added, the broker does not get the batch again', async t => {
  let [published, adds] = [0, 0]
  const { handle, dead, outcomes, errors } = open(
    async events => {
      published++
      return events.filter(({ id }) => id === 'large').map(event => ({ event, reason: 'too large' }))
    },
    async () => {
      if (++adds <= 2) throw new Error('Command timed out')
    }
  )
  await handle(batch, never)
  t.equal(published, 1)
  t.same(dead, ['0-1-3 failed', '0-1-2 malformed'])
  t.same(outcomes, ['delivered', 'dead'], 'an outage of Redis does not count as a failure of the broker')
  t.equal(errors.length, 2)
})

t.test(
  'when another member may hold the partition, a dead letter that cannot be added is left to it',
  async t => {
    const revoked = new AbortController()
    const { handle, dead } = open(
      async () => [],
      async () => {
        revoked.abort()
        throw new Error('Command timed out')
      }
    )
    await t.rejects(handle(batch, revoked.signal), { message: 'Command timed out' })
    t.same(dead, [])
  }
)
