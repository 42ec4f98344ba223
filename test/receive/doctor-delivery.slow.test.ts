import t from 'tap'
import { startRedis } from '../helpers/redis.ts'
import { startTestService } from '../helpers/service.ts'
import { signV0 } from '../helpers/sign.ts'

const redis = await startRedis()
t.teardown(() => redis.stop())
const service = await startTestService({ REDIS_URL: redis.url })
t.teardown(() => service.close())

const MARK = { 'user-agent': 'cio-webhook-doctor' }
const BODIES: readonly (readonly [string, string | Buffer])[] = [
  ['text', 'no JSON'],
  ['an array', '["an event"]'],
  ['bytes that are not text', Buffer.from([0x7b, 0xff, 0x7d])],
  ['deep JSON', `{"a":${'['.repeat(100)}${']'.repeat(100)}}`],
  ['a poisoned prototype', '{"__proto__":{"a":1}}']
]

const lengths = async () => ({
  events: await redis.client.xlen('cio:events:{0}'),
  parked: await redis.client.xlen('cio:parked:{0}')
})

for (const [name, body] of BODIES) {
  t.test(
    `${name} from the doctor becomes an event of the doctor, and is parked from any other sender`,
    async t => {
      await redis.client.flushall()
      const post = async (headers: Record<string, string>) => (await service.post(body, headers)).body
      t.match(await post({ ...signV0(body), ...MARK }), { status: 'accepted' })
      t.same(await lengths(), { events: 1, parked: 0 })
      const [entry] = await redis.client.xrange('cio:events:{0}', '-', '+')
      t.equal(entry?.[1][1], 'io.customer.doctor')
      t.match(JSON.parse(entry?.[1][3] ?? ''), { type: 'io.customer.doctor', data: { reason: String } })

      t.match(await post({ ...signV0(body, undefined, 1e9), ...MARK }), { code: 'CIO_SIGNATURE_INVALID' })
      t.match(await post({ ...signV0(body, 'another key'), ...MARK }), { code: 'CIO_SIGNATURE_INVALID' })
      t.same(await lengths(), { events: 1, parked: 0 })
      t.match(await post(signV0(body, undefined, Math.floor(Date.now() / 1000) - 60)), { status: 'parked' })
      t.same(await lengths(), { events: 1, parked: 1 })
    }
  )
}

t.test('an event keeps its own type, whatever the header says', async t => {
  await redis.client.flushall()
  const body = '{"event_id":"1","object_type":"email","metric":"sent"}'
  await service.post(body, { ...signV0(body), ...MARK })
  const [entry] = await redis.client.xrange('cio:events:{0}', '-', '+')
  t.equal(entry?.[1][1], 'io.customer.email.sent')
})
