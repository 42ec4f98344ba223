import t from 'tap'
import { countByReason } from '../../../src/tools/consumers/letter-reasons.ts'
import { connectedRedis } from '../../helpers/redis.ts'

const redis = await connectedRedis(t)
t.beforeEach(() => redis.client.flushall())

async function add(letters: number, bytes: number): Promise<void> {
  const pipeline = redis.client.pipeline()
  for (let index = 0; index < letters; index++) {
    const reason = index % 3 === 0 ? 'malformed' : 'failed'
    pipeline.xadd('cio:dead:crm', '*', 'event', 'x'.repeat(bytes), 'reason', reason)
  }
  await pipeline.exec()
}

const scriptCalls = async (): Promise<number> =>
  [...(await redis.client.info('commandstats')).matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce(
    (sum, [, calls]) => sum + Number(calls),
    0
  )

t.test('dead letters are counted by reason, page by page', async t => {
  t.same(await countByReason(redis.connection, 'cio:', 'crm'), {})
  for (const letters of [1, 4, 5, 200, 601]) {
    await redis.client.flushall()
    await add(letters, 100)
    const malformed = Math.ceil(letters / 3)
    const failed = letters - malformed
    t.same(
      await countByReason(redis.connection, 'cio:', 'crm'),
      failed === 0 ? { malformed } : { malformed, failed },
      `${letters} dead letters`
    )
  }
})

t.test('one call copies few large events in Redis: deliveries wait meanwhile', async t => {
  await add(30, 500_000)
  await redis.client.config('RESETSTAT')
  t.same(await countByReason(redis.connection, 'cio:', 'crm'), { malformed: 10, failed: 20 })
  t.ok((await scriptCalls()) >= 7, `${await scriptCalls()} calls for 15 MB`)
})
