import { pino } from 'pino'
import t from 'tap'
import type { LogHold } from '../../src/log/log-hold.ts'
import { watchMemory } from '../../src/ops/memory-watch.ts'
import { connectRedis } from '../../src/redis/connect.ts'
import { memoryUsage, memoryUsageRatio } from '../../src/redis/memory.ts'
import { startCluster } from '../helpers/cluster.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

t.test('the used share of maxmemory, of one server or of the fullest of several', async t => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  t.equal(await memoryUsage(redis.client), undefined, 'no limit')
  const used = Number(/^used_memory:(\d+)/m.exec(await redis.client.info('memory'))?.[1])
  await redis.client.config('SET', 'maxmemory', used * 2)
  const usage = await memoryUsage(redis.client)
  const ratio = usage === undefined ? 0 : memoryUsageRatio(usage)
  t.ok(ratio > 0.4 && ratio < 0.6, `${ratio} is about a half`)

  const { nodes, address, stop } = await startCluster()
  t.teardown(stop)
  const cluster = connectRedis(address)
  t.teardown(() => cluster.disconnect())
  await nodes[1]?.client.config('SET', 'maxmemory', '1mb')
  await nodes[2]?.client.config('SET', 'maxmemory', '1gb')
  const fullest = await until('the cluster', () => memoryUsage(cluster).catch(() => undefined))
  t.equal(fullest.maxBytes, 1024 * 1024, 'the second')
})

interface Line {
  readonly level: number
  readonly msg: string
  readonly [field: string]: unknown
}

const HOLD: LogHold = {
  logBytes: 60,
  holder: { consumer: 'crm', unacknowledged: 41_200, bytes: 52, oldestAgeMs: 3_600_000 }
}

/**
 * Watches a Redis with these readings of its usage, in percent, one after the other. After one of 80 or more, memory is
 * freed and the next reading follows at once.
 */
async function watched(
  readings: readonly (number | 'no limit' | 'no answer')[],
  change: { readonly hold?: LogHold | Error; readonly isFinished?: boolean; readonly stepMs?: number } = {}
) {
  const lines: Line[] = []
  const ratios: number[] = []
  const log = pino({}, { write: line => void lines.push(JSON.parse(line)) })
  let read = 0
  let reliefs = 0
  const watch = watchMemory({
    usage: async () => {
      const reading = readings[read++]
      if (reading === 'no answer') throw new Error('NOPERM')
      return typeof reading === 'number' ? { usedBytes: reading, maxBytes: 100 } : undefined
    },
    relieve: async () => {
      reliefs++
      return change.isFinished ?? true
    },
    readHold: async () => {
      const hold = change.hold ?? HOLD
      if (hold instanceof Error) throw hold
      return hold
    },
    onUsedRatio: ratio => ratios.push(ratio),
    log,
    now: () => read * (change.stepMs ?? 1000),
    intervalMs: 1
  })
  watch.start()
  await until('the last reading', async () => read > readings.length)
  await watch.stop()
  return { lines, ratios, reliefs }
}

t.test('usage is reported each time, 0 without a limit or an answer', async t => {
  const { ratios, lines } = await watched([50, 'no limit', 70, 'no answer', 60])
  t.same(ratios.slice(0, 5), [0.5, 0, 0.7, 0, 0.6])
  t.same(lines, [])
})

t.test('from 80 % on memory is freed, and if that is enough nothing is logged', async t => {
  const { reliefs, lines } = await watched([79, 81, 70, 75, 80, 70])
  t.equal(reliefs, 2)
  t.same(lines, [])
})

t.test('if it is not enough, a warning names the consumer and projects when Redis will be full', async t => {
  const { lines } = await watched([60, 70, 80, 80], { stepMs: 60_000 })
  t.match(lines, [
    {
      level: 40,
      usedRatio: 0.8,
      consumer: 'crm',
      unacknowledged: 41_200,
      unacknowledgedBytes: 52,
      oldestAgeSeconds: 3600,
      logBytes: 60,
      fullInSeconds: 180,
      msg: 'Redis uses 80 % of its maxmemory: consumer crm has not acknowledged 41200 events (0.0 MB), and unread events are never trimmed; at the current rate deliveries get 503 in about 3 min. Start that consumer again, remove it (cio-webhook consumers remove crm), or raise maxmemory'
    }
  ])
})

t.test('the warning comes once, again after ten minutes, and at once when Redis is full', async t => {
  const { lines } = await watched([81, 81, 82, 82, 78, 84, 84, 100, 101, 99, 99, 74, 85, 81])
  t.same(
    lines.map(({ level, msg }) => [level, msg.split(/[:,]/)[0]]),
    [
      [40, 'Redis uses 81 % of its maxmemory'],
      [50, 'Redis is full and deliveries get 503'],
      [30, 'Redis has enough free memory again'],
      [40, 'Redis uses 81 % of its maxmemory']
    ]
  )
  const { lines: later } = await watched([81, 81, 82, 82, 83, 83], { stepMs: 200_000 })
  t.same(
    later.map(({ level, msg }) => [level, msg.split(':')[0]]),
    [
      [40, 'Redis uses 81 % of its maxmemory'],
      [40, 'Redis uses 83 % of its maxmemory']
    ]
  )
})

t.test('while there is more to free, nothing is logged yet', async t => {
  const { lines } = await watched([95, 90, 89, 85], { isFinished: false })
  t.same(lines, [])
})

t.test('the cause is named: no consumer, other data than events, or unknown', async t => {
  const noGroup = await watched([85, 85], { hold: { logBytes: 80, holder: undefined } })
  t.match(noGroup.lines, [
    {
      level: 40,
      msg: /: no consumer group reads the log, so events are only trimmed by age; usage is not growing now\. Start a consumer, lower EVENT_RETENTION_SECONDS, or raise maxmemory$/
    }
  ])
  const small = { consumer: 'crm', unacknowledged: 3, bytes: 1, oldestAgeMs: 10 }
  const other = await watched([85, 85], { hold: { logBytes: 2, holder: small } })
  t.match(other.lines, [{ level: 40, msg: /: events use only 0\.0 MB of it, .*\. Raise maxmemory$/ }])
  const unknown = await watched([85, 85], { hold: new Error('NOPERM') })
  t.match(unknown.lines, [
    { level: 40, msg: /: the cause is unknown, because the log could not be read.*\. Start every consumer/ }
  ])
})
