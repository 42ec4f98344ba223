import t from 'tap'
import { startServiceProcess } from '../helpers/process.ts'
import { startRedis } from '../helpers/redis.ts'
import { deliverTo } from '../helpers/service.ts'
import { WEBHOOK_PATH } from '../helpers/sign.ts'

const IDS = Number(process.env['PROPERTY_RUNS'] ?? 20)
const COPIES = 5

t.test('deliveries of one id that reach two processes at once append exactly one event', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const env = { REDIS_URL: redis.url, PARTITIONS: '2', LOG_LEVEL: 'warn' }
  const services = await Promise.all([startServiceProcess(env), startServiceProcess(env)])
  t.teardown(() => services.forEach(service => void service.process.kill('SIGKILL')))

  const ids = Array.from({ length: IDS }, (_, n) => `id-${n}`)
  let accepted = 0
  for (let at = 0; at < ids.length; at += 40) {
    const deliveries = ids.slice(at, at + 40).flatMap(id =>
      Array.from({ length: COPIES }, (_, copy) => {
        const body = JSON.stringify({ event_id: id, data: { customer_id: `customer-${id}` } })
        const service = services[copy % services.length]
        return deliverTo(`${service?.url}${WEBHOOK_PATH}`, body)
      })
    )
    const answers = await Promise.all(deliveries)
    t.ok(answers.every(answer => answer.status === 200))
    accepted += answers.filter(answer => answer.body['status'] === 'accepted').length
  }
  t.equal(accepted, IDS, 'each id is accepted once')

  const streams = await redis.client.keys('cio:events:*')
  const entries = await Promise.all(streams.map(stream => redis.client.xrange(stream, '-', '+')))
  const kept = entries.flat().map(([, fields]) => JSON.parse(fields[3] ?? '{}').id)
  t.same(kept.sort(), ids.sort(), 'each id is in the log once')
})
