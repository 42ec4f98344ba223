import { randomBytes } from 'node:crypto'
import t from 'tap'
import { partitionKeys } from '../../../src/log/keys.ts'
import { searchEventLog } from '../../../src/tools/leaks/event-log.ts'
import { startSearch } from '../../fixtures/leak-search.ts'
import { startRedis } from '../../helpers/redis.ts'

const KEY = randomBytes(32).toString('hex')
const redis = await startRedis()
t.teardown(() => redis.stop())

t.test('every event and parked delivery of every partition is searched, page by page', async t => {
  const keyPrefix = 'cio:'
  const pipeline = redis.client.pipeline()
  const add = (stream: string, id: number, event: string): void => {
    pipeline.xadd(stream, `${id}-0`, 'type', 'io.customer.email.opened', 'event', event)
  }
  const [zero, one] = [partitionKeys(keyPrefix, 0), partitionKeys(keyPrefix, 1)]
  // More than a page of small entries, and entries so large that a page holds one.
  for (let id = 1; id <= 5000; id++) add(zero.events, id, JSON.stringify({ id, key: id > 4998 ? KEY : '' }))
  for (let id = 1; id <= 20; id++)
    add(one.events, id, 'x'.repeat(5_000_000).slice(0, id > 15 ? 5_000_000 : 10))
  add(one.events, 21, `{"nested":"${Buffer.from(`a${KEY}`).toString('base64')}"}`)
  add(one.parked, 1, `not JSON ${KEY}`)
  await pipeline.exec()

  const search = startSearch({ CIO_WEBHOOK_SECRET: KEY })
  const searched = await searchEventLog(search, { redis: redis.client, keyPrefix, partitions: 2 })
  t.match(
    searched,
    /^5022 entries of cio:events:\{0\}, cio:parked:\{0\}, cio:events:\{1\}, cio:parked:\{1\}$/
  )
  t.match(search.found(), [
    { place: 'stream', file: zero.events, entry: '4999-0', times: 2, encoding: 'plain' },
    { place: 'stream', file: one.events, entry: '21-0', times: 1, encoding: 'base64' },
    { place: 'stream', file: one.parked, entry: '1-0', times: 1, encoding: 'plain' }
  ])
})

t.test('an event as the service writes it, with hashes and ids of all kinds, is not a leak', async t => {
  const keyPrefix = 'clean:'
  const event = {
    id: randomBytes(16).toString('hex'),
    source: '/customerio/default',
    type: 'io.customer.email.opened',
    data: {
      customer_id: randomBytes(10).toString('hex'),
      email_hash: randomBytes(32).toString('hex'),
      identifiers: { id: randomBytes(16).toString('hex'), cio_id: randomBytes(10).toString('hex') },
      recipients: [{ device_id_hash: randomBytes(32).toString('hex') }]
    }
  }
  await redis.client.xadd(
    partitionKeys(keyPrefix, 0).events,
    '*',
    'type',
    event.type,
    'event',
    JSON.stringify(event)
  )
  const search = startSearch({})
  t.match(await searchEventLog(search, { redis: redis.client, keyPrefix, partitions: 1 }), /^1 entry of/)
  t.strictSame(search.found(), [])
})
