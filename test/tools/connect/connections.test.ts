import t from 'tap'
import { readConnections, rememberConnection } from '../../../src/tools/connect/connections.ts'
import { startRedis } from '../../helpers/redis.ts'
import { ENDPOINT } from '../../helpers/reporting-webhook.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())

t.test('a connection is read as it was remembered; what others have damaged is skipped', async t => {
  const all = { source: 'default', endpoint: ENDPOINT, events: undefined, webhook: '7' }
  const some = { source: 'crm', endpoint: `${ENDPOINT}/crm`, events: ['email.*'], webhook: 'a1' }
  await rememberConnection(redis.client, 'cio:', all)
  await rememberConnection(redis.client, 'cio:', some)
  await redis.client.hset('cio:connections', { broken: '{', other: '{"endpoint":7}' })
  t.same(await readConnections(redis.client, 'cio:'), [some, all])
})
