import { spawnSync } from 'node:child_process'
import t from 'tap'
import { startRedis } from '../helpers/redis.ts'
import { startTestService } from '../helpers/service.ts'

t.test('the metrics pass promtool', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const service = await startTestService({ REDIS_URL: redis.url, PARTITIONS: '2' })
  t.teardown(() => service.close())
  await service.post('{"event_id":"1","object_type":"email","metric":"sent"}')
  await service.post('[]')
  await service.post('{}', {})
  const input = await (await fetch(`${service.url}/metrics`)).text()
  const { error, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input, encoding: 'utf8' })
  t.equal(error, undefined)
  // promtool's linter objects to names of the client's default metrics.
  const ours = `${stdout}${stderr}`.split('\n').filter(line => line !== '' && !/^nodejs_/.test(line))
  t.same(ours, [])
})
