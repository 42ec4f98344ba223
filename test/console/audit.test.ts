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

t.test('refused log-ins cannot push the records of changes out of the stream', async t => {
  await redis.client.flushall()
  let nowMs = 0
  const lines: string[] = []
  const log = pino({}, { write: line => lines.push(line) })
  const audit = createAudit(redis.connection, 'cio:', log, () => nowMs)
  const refused = { who: '-', role: undefined, action: 'log_in_refused', target: 'console', address: '::1' }
  for (let tries = 0; tries < 30; tries++) await audit.recordRefusal(refused)
  nowMs = 10 * 60_000
  for (let tries = 0; tries < 30; tries++) await audit.recordRefusal(refused)
  t.same(
    (await audit.list(100)).map(({ target }) => target),
    ['console, and 29 more before', 'console']
  )
  t.equal(lines.length, 60, 'the log has each of them')
})

t.test('a record is short, whatever a form named', async t => {
  const lines: string[] = []
  const log = pino({}, { write: line => lines.push(line) })
  const audit = createAudit(redis.connection, 'cio:', log)
  const target = 'x'.repeat(60_000)
  await audit.record({ who: 'ada', role: 'operator', action: 'drop', target, address: target })
  t.equal((await audit.list(1))[0]?.target.length, 512)
  t.equal((await audit.list(1))[0]?.address.length, 64)
  t.ok((lines[0]?.length ?? 0) < 1000)
})

t.test('a change is recorded while the memory of Redis is full: it may be what frees memory', async t => {
  await redis.client.flushall()
  await redis.client.config('SET', 'maxmemory', '1')
  t.teardown(() => redis.client.config('SET', 'maxmemory', '0'))
  const audit = createAudit(redis.connection, 'cio:', pino({ enabled: false }))
  await audit.record({
    who: 'ada',
    role: 'operator',
    action: 'dead_letters_dropped',
    target: 'crm: all',
    address: '192.0.2.1'
  })
  t.match(await audit.list(10), [{ who: 'ada', action: 'dead_letters_dropped', target: 'crm: all' }])
})
