import { createHash } from 'node:crypto'
import t from 'tap'
import { type Contestant, contestants } from '../../bench/contestants.ts'
import { verifyLog } from '../../bench/verify-log.ts'
import { startRedis } from '../helpers/redis.ts'

const named = (name: string): Contestant => {
  const found = contestants.find(contestant => contestant.name === name)
  if (found === undefined) throw new Error(`unknown contestant: ${name}`)
  return found
}

const redis = await startRedis()
t.teardown(() => redis.stop())

const id = (index: number, run = '00'): string => `01J${run}${String(index).padStart(21, '0')}`
const hashOf = (index: number): string =>
  createHash('sha256')
    .update(`canary.${String(index).padStart(8, '0')}@example.com`)
    .digest('hex')
const event = (index: number, more: object = {}, run?: string) => ({
  event_id: id(index, run),
  data: { identifiers: { email_hash: hashOf(index) }, ...more }
})

/** The log after deliveries 0 to 2 of one run were sent, and the error expected for it. */
const logs: readonly {
  readonly title: string
  readonly contestant: string
  readonly log: readonly object[]
  readonly finds: RegExp | undefined
}[] = [
  {
    title: 'each event once, in any order, passes',
    contestant: 'nginx-lua',
    log: [event(1), event(0), event(2)],
    finds: undefined
  },
  {
    title: 'a lost event is found',
    contestant: 'nginx-lua',
    log: [event(0), event(1)],
    finds: /2 events, but 3/
  },
  {
    title: 'a duplicate event is found',
    contestant: 'nginx-lua',
    log: [event(0), event(1), event(1), event(2)],
    finds: /twice/
  },
  {
    title: 'an event that was not sent is found',
    contestant: 'nginx-lua',
    log: [event(0), event(1), event(2, {}, 'zz')],
    finds: /unknown id/
  },
  {
    title: 'an address that was not hashed is found',
    contestant: 'nginx-lua',
    log: [event(0), event(1), event(2, { email: 'Canary.00000002@Example.com' })],
    finds: /personal data/
  },
  {
    title: 'a card number that was not redacted is found',
    contestant: 'nginx-lua',
    log: [event(0), event(1), event(2, { card: '4111 1111 1111 1111' })],
    finds: /personal data/
  },
  {
    title: 'the hash of another address is found',
    contestant: 'nginx-lua',
    log: [event(0), event(1), { ...event(2), data: { identifiers: { email_hash: hashOf(1) } } }],
    finds: /wrong hash/
  },
  {
    title: 'an address in another field passes under basic',
    contestant: 'nginx-lua',
    log: [event(0), event(1), event(2, { recipient: 'ada@example.org' })],
    finds: undefined
  },
  {
    title: 'an address in another field is found under customerio',
    contestant: 'service',
    log: [event(0), event(1), event(2, { recipient: 'ada@example.org' })].map(data => ({ data })),
    finds: /an address/
  }
]

for (const { title, contestant, log, finds } of logs) {
  t.test(`verifyLog: ${title}`, async t => {
    await redis.client.flushall()
    const stream = contestant === 'service' ? 'cio:events:{0}' : 'events'
    for (const entry of log) {
      await redis.client.xadd(stream, '*', 'type', 'io.customer.email.opened', 'event', JSON.stringify(entry))
    }
    const verified = verifyLog(named(contestant), redis.client, [{ run: '00', unique: 3 }])
    if (finds === undefined) await t.resolves(verified)
    else await t.rejects(verified, { message: finds })
  })
}
