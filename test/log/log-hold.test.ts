import t from 'tap'
import { readLogHold } from '../../src/log/log-hold.ts'
import { fill } from '../helpers/memory.ts'
import { startRedis } from '../helpers/redis.ts'

t.test('the consumer with the most unacknowledged events holds its share of the log’s memory', async t => {
  const { client, stop } = await startRedis()
  t.teardown(() => stop())
  t.same(await readLogHold(client, 'cio:'), { logBytes: 0, holder: undefined })

  await client.set('cio:partitions', 2)
  const streams = ['cio:events:{0}', 'cio:events:{1}']
  for (const stream of streams) {
    await fill(client, stream, 100, 1000)
    for (const group of ['fast', 'slow']) await client.xgroup('CREATE', stream, group, '0')
    await client.xreadgroup('GROUP', 'fast', 'm', 'COUNT', 90, 'STREAMS', stream, '>')
    await client.xreadgroup('GROUP', 'slow', 'm', 'COUNT', 10, 'STREAMS', stream, '>')
  }
  const read = await client.xrange('cio:events:{0}', '-', '+', 'COUNT', 90)
  await client.xack('cio:events:{0}', 'fast', ...read.map(([id]) => id))

  const { logBytes, holder } = await readLogHold(client, 'cio:')
  t.ok(logBytes > 200_000 && logBytes < 400_000, `${logBytes} bytes`)
  t.match(holder, { consumer: 'slow', unacknowledged: 200, bytes: logBytes })

  await client.xgroup('DESTROY', 'cio:events:{0}', 'slow')
  await client.xgroup('DESTROY', 'cio:events:{1}', 'slow')
  const next = await readLogHold(client, 'cio:')
  const bytes = Math.round((next.logBytes / 200) * 110)
  t.match(next.holder, { consumer: 'fast', unacknowledged: 110, bytes })
})
