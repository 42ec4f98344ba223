import t from 'tap'
import { connectRedis, disconnectRedis } from '../../src/redis/connect.ts'
import { readAgain } from '../../src/redis/read-again.ts'
import { waitUntilReady } from '../../src/redis/ready.ts'
import { startRedis } from '../helpers/redis.ts'

const server = await startRedis()
t.teardown(() => server.stop())
await server.client.set('a', '1')
const redis = connectRedis(server.address)
redis.on('error', () => {})
t.teardown(() => disconnectRedis(redis))
await waitUntilReady(redis, 5000)

/** Ends the connection of `redis`, so that the next read fails. */
const cut = () => server.client.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')

t.test('an error reply is reported at once', async t => {
  let reads = 0
  await t.rejects(
    readAgain(redis, () => {
      reads++
      return redis.llen('a')
    }),
    { message: /WRONGTYPE/ }
  )
  t.equal(reads, 1)
})

t.test('a read whose connection is lost is done again after the reconnect', async t => {
  let reads = 0
  const value = await readAgain(redis, async () => {
    if (++reads < 4) await cut()
    return redis.get('a')
  })
  t.equal(value, '1')
  t.equal(reads, 4)
})

t.test('a connection that is lost each time is reported after five attempts', async t => {
  let reads = 0
  const read = readAgain(redis, async () => {
    reads++
    await cut()
    return redis.get('a')
  })
  await t.rejects(read, { message: /Connection is closed|isn't writeable/ })
  t.equal(reads, 5)
})
