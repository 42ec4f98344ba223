import t from 'tap'
import { replayLetters, replayRange } from '../../src/dispatch/replay.ts'
import { deadLetters } from '../../src/group/dead-letters.ts'
import { cloudEventText } from '../helpers/outgoing.ts'
import { connectedRedis } from '../helpers/redis.ts'

const STREAM = 'cio:events:{0}'
const type = 'io.customer.email.opened'

const redis = await connectedRedis(t)
const options = {
  redis: redis.connection,
  keyPrefix: 'cio:',
  consumer: 'crm',
  settings: { types: ['email.*'], backfilled: false }
}

t.test('an event that reconcile appended is not replayed to a consumer that does not want it', async t => {
  const event = cloudEventText('backfilled-1', type, undefined, { backfilled: true })
  const id = String(await redis.client.xadd(STREAM, '*', 'type', type, 'event', event))
  await redis.client.xgroup('CREATE', STREAM, 'crm', '0')
  await redis.client.xreadgroup('GROUP', 'crm', 'm', 'STREAMS', STREAM, '>')
  await redis.client.xack(STREAM, 'crm', id)
  const letters = deadLetters(redis.connection, 'cio:')
  const failure = { reason: 'failed', error: new Error('as a test'), attempts: 1 } as const
  await letters.add('crm', { type, event, position: `0-${id}` }, failure)

  const why = 'crm does not want events that reconcile appended (backfilled in CONSUMERS_FILE)'
  const publish = async (): Promise<void> => void t.fail('published')
  const result = await replayLetters({ ...options, publish }, await letters.list('crm', 10))
  t.match(result, { replayed: 0, left: [{ why }], notWanted: 1 })
  t.equal(await letters.count('crm'), 1, 'it would be lost')

  const all = { from: '-', to: '+' }
  t.same(await replayRange(options, all, () => true), { replayed: 0, skipped: 0, notWanted: 1 })
  const unknown = { ...options, settings: undefined }
  t.same(await replayRange(unknown, all, () => true), { replayed: 1, skipped: 0, notWanted: 0 })
})
