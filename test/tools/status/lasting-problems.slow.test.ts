import t from 'tap'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { startTestService } from '../../helpers/service.ts'

t.test('PARTITIONS was lowered while the log has events in more: a warning at the start', async t => {
  const redis = await startRedis()
  await redis.client.set('cio:partitions', 4)
  await redis.client.xadd('cio:events:{3}', '*', 'type', 'io.customer.email.sent', 'event', '{}')
  const service = await startTestService({ REDIS_URL: redis.url, PARTITIONS: '2' })
  t.teardown(async () => {
    await service.close()
    await redis.stop()
  })
  const [line] = await until('the warning', async () => {
    const found = service
      .logLines()
      .filter(({ msg }) => String(msg).startsWith('PARTITIONS is probably wrong'))
    return found.length > 0 && found
  })
  t.match(line, { level: 'warn', msg: /PARTITIONS is 2, but the log has 4/, fix: /set PARTITIONS=4/ })
})

t.test('a group that has not read for a day is a warning in the log, with its fix', async t => {
  const redis = await startRedis()
  const dayAgoMs = Date.now() - 25 * 3_600_000
  await redis.client.xgroup('CREATE', 'cio:events:{0}', 'bi', '0', 'MKSTREAM')
  await redis.client.xgroup('CREATE', 'cio:events:{0}', 'new', '$', 'MKSTREAM')
  await redis.client.xadd('cio:events:{0}', `${dayAgoMs}-0`, 'type', 'io.customer.email.sent', 'event', '{}')
  await redis.client.xack('cio:events:{0}', 'new', `${dayAgoMs}-0`)
  const service = await startTestService({ REDIS_URL: redis.url })
  t.teardown(async () => {
    await service.close()
    await redis.stop()
  })
  const lines = await until('the warning', async () => {
    const found = service
      .logLines()
      .filter(({ msg }) => String(msg).startsWith('a consumer group has no members'))
    return found.length > 0 && found
  })
  t.match(lines[0], {
    level: 'warn',
    msg: /group bi .* 25 h/,
    fix: /consumers remove bi/,
    consequence: /503/
  })
})
