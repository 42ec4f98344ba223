import t from 'tap'
import { runToEnd } from '../../helpers/command.ts'
import { startServiceProcess } from '../../helpers/process.ts'
import { startRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { postTo } from '../../helpers/service.ts'
import { WEBHOOK_PATH } from '../../helpers/sign.ts'

const PASSWORD = 'hunter2'
const redis = await startRedis()
t.teardown(() => redis.stop())
await redis.client.acl('SETUSER', 'bob', 'on', `>${PASSWORD}`, '~*', '&*', '+@all')
const REDIS_URL = `redis://bob:${PASSWORD}@127.0.0.1:${redis.port}`

t.test('with DEBUG set the service prints neither the password of Redis nor a payload', async t => {
  const service = await startServiceProcess({ REDIS_URL, DEBUG: 'ioredis:*' })
  t.teardown(() => service.process.kill('SIGKILL'))
  const body = JSON.stringify({
    event_id: 'only-here',
    object_type: 'email',
    metric: 'sent',
    data: { plan: 'gold-42' }
  })
  t.equal((await postTo(`${service.url}${WEBHOOK_PATH}`, body)).status, 200)
  await until('its log', async () => service.output().includes('"outcome":"accepted"'))
  service.process.kill('SIGTERM')
  await service.ended
  const warnings = service.output().match(/\{[^\n]*DEBUG is ignored[^\n]*\}/g) ?? []
  t.equal(warnings.length, 1, 'said once')
  t.match(JSON.parse(warnings[0] ?? ''), { level: 'warn', variable: 'DEBUG' })
  t.notMatch(service.output(), /hunter2|gold-42|ioredis:/)
})

t.test('the same holds for commands', async t => {
  const { code, stdout, stderr } = await runToEnd(['events', '--json'], { REDIS_URL, DEBUG: '*' })
  t.equal(code, 0)
  t.match(stdout, 'only-here')
  t.match(stderr, /^cio-webhook: DEBUG is ignored: [^\n]+\n$/)
})

t.test('NODE_DEBUG, which can not be unset from inside, ends a start with 2', async t => {
  const { code, stdout, stderr } = await runToEnd(['serve'], { REDIS_URL, NODE_DEBUG: 'http' })
  t.equal(code, 2)
  t.equal(stdout, '')
  t.match(stderr, /^cio-webhook: NODE_DEBUG is not allowed: .+; unset it\n$/)
})
