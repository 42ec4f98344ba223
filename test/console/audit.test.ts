import { pino } from 'pino'
import t from 'tap'
import { createAudit } from '../../src/console/audit.ts'
import { connectedRedis } from '../helpers/redis.ts'

const redis = await connectedRedis(t)

t.test('pages of records end at the oldest one, without a walk through all of them', async t => {
  const audit = createAudit(redis.connection, 'cio:', pino({ enabled: false }))
  for (const target of ['crm', 'shop', 'bus']) {
    await audit.record({ who: 'ada', role: 'operator', action: 'pause', target, address: '192.0.2.1' })
  }
  const newest = await audit.list(2, undefined)
  t.same(
    newest.map(({ target }) => target),
    ['bus', 'shop']
  )
  const [oldest] = await audit.list(2, newest[1]?.id)
  t.equal(oldest?.target, 'crm')
  await redis.client.config('RESETSTAT')
  t.same(await audit.list(2, oldest?.id), [])
  t.notMatch(await redis.client.info('commandstats'), 'xrevrange', 'which is slow before the first record')
})
