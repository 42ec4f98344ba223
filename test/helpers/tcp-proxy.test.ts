import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startRedis } from './redis.ts'
import { startTcpProxy } from './tcp-proxy.ts'

t.test('after a slow network, no command overtakes an earlier one', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const proxy = await startTcpProxy(redis.port)
  t.teardown(proxy.close)
  const socket = connect(proxy.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  let replies = ''
  socket.on('data', chunk => {
    replies += chunk
  })
  await proxy.set('slow')
  socket.write('ECHO 1\r\n')
  await sleep(50)
  await proxy.set('forwarding')
  socket.write('ECHO 2\r\n')
  while (replies.length < 14) await once(socket, 'data')
  t.equal(replies, '$1\r\n1\r\n$1\r\n2\r\n')
})
