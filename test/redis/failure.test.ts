import t from 'tap'
import { openLog } from '../../src/cli/open-log.ts'
import { startRedis } from '../helpers/redis.ts'
import { freePort } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'

t.test('the service and the commands say why Redis does not answer, without the password', async t => {
  const redis = await startRedis()
  await redis.client.config('SET', 'requirepass', 'hunter2')
  t.teardown(() => redis.stop('SIGKILL'))
  const rows = [
    [`redis://127.0.0.1:${await freePort()}`, ': ECONNREFUSED (nothing listens at this address)'],
    [`redis://nowhere.invalid`, /: (?:ENOTFOUND \(unknown host name\)|EAI_AGAIN)/],
    [`redis://:hunter3@127.0.0.1:${redis.port}`, ': WRONGPASS (wrong user or password)'],
    [`redis://127.0.0.1:${redis.port}`, ': NOAUTH (a password is needed)']
  ] as const
  const check = async ([url, reason]: (typeof rows)[number]): Promise<void> => {
    const [service] = await Promise.all([
      startTestService({ REDIS_URL: url }, { ready: false }),
      t.rejects(openLog({ REDIS_URL: url }), { message: reason })
    ])
    t.teardown(() => service.close())
    const lines = service.logText().split('\n')
    const line = lines.find(text => text.includes('starting without it'))
    t.match(line, reason, url)
    t.notMatch(line, 'hunter')
  }
  await Promise.all(rows.map(check))
})
