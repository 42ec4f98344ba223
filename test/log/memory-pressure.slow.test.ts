import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { consume, usedRatio } from '../helpers/memory.ts'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { signV0, WEBHOOK_PATH } from '../helpers/sign.ts'

t.setTimeout(600_000)

const MAX_BYTES = 64 * 1024 * 1024
const STREAM = 'cio:events:{0}'
/** Large, so that ten times maxmemory takes less than a minute. */
const LARGE_BYTES = 60_000
const CONNECTIONS = 8

/** Posts events of this size until it is stopped. @returns the number of answers by status */
function startSender(port: number, bytes: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS })
  const answers = new Map<number, number>()
  const note = 'x'.repeat(bytes)
  let sent = 0
  let pauseMs = 0
  let stopped = false
  const senders = Array.from({ length: CONNECTIONS }, async () => {
    while (!stopped) {
      const status = await post(`event-${bytes}-${sent++}`)
      answers.set(status, (answers.get(status) ?? 0) + 1)
      if (pauseMs > 0) await sleep(pauseMs)
    }
  })
  return {
    answers,
    count: (status: number): number => answers.get(status) ?? 0,
    slowDown: (ms: number): void => {
      pauseMs = ms
    },
    stop: async (): Promise<void> => {
      stopped = true
      await Promise.all(senders)
      agent.destroy()
    }
  }

  function post(id: string): Promise<number> {
    const body = JSON.stringify({ event_id: id, object_type: 'email', metric: 'opened', data: { note } })
    const headers = { 'content-type': 'application/json', 'content-length': body.length, ...signV0(body) }
    return new Promise((resolve, reject) => {
      const options = { agent, host: '127.0.0.1', port, path: WEBHOOK_PATH, method: 'POST', headers }
      const delivery = request(options, response => {
        response.resume()
        response.once('end', () => resolve(response.statusCode ?? 0))
      })
      delivery.once('error', reject)
      delivery.end(body)
    })
  }
}

/** A plain consumer group that reads and acknowledges everything. */
async function startReader({ url, client }: TestRedis, group: string) {
  const reader = client.duplicate({ lazyConnect: false })
  t.teardown(() => reader.disconnect())
  await client.xgroup('CREATE', STREAM, group, '0', 'MKSTREAM')
  let stopped = false
  let read = 0
  const done = (async () => {
    while (!stopped) {
      const reply = (await reader.xreadgroup(
        'GROUP',
        group,
        'member',
        'COUNT',
        20,
        'BLOCK',
        100,
        'STREAMS',
        STREAM,
        '>'
      )) as [string, [string, string[]][]][] | null
      const ids = (reply?.[0]?.[1] ?? []).map(([id]) => id)
      if (ids.length > 0) await reader.xack(STREAM, group, ...ids)
      read += ids.length
    }
    reader.disconnect()
  })()
  return {
    read: () => read,
    stop: async () => {
      stopped = true
      await done
    },
    url
  }
}

async function smallRedis() {
  const redis = await startRedis({ maxmemory: String(MAX_BYTES) })
  t.teardown(() => redis.stop())
  return redis
}

t.test('while every event is consumed, ten times maxmemory is accepted without a 503', async t => {
  const redis = await smallRedis()
  const service = await startTestService({ REDIS_URL: redis.url, LOG_LEVEL: 'warn' })
  t.teardown(() => service.close())
  const reader = await startReader(redis, 'reader')
  const sender = startSender(service.port, LARGE_BYTES)
  const events = Math.ceil((10 * MAX_BYTES) / LARGE_BYTES)
  const startedMs = performance.now()
  await until(
    'ten times of what fits',
    async () => sender.count(200) >= events || sender.count(503) > 0,
    300_000
  )
  await sender.stop()
  const seconds = (performance.now() - startedMs) / 1000
  t.comment(`${Math.round(sender.count(200) / seconds)} events of ${LARGE_BYTES} bytes a second`)
  t.same([...sender.answers.keys()], [200])
  await until('the reader', async () => reader.read() === sender.count(200))
  await reader.stop()
  // A trim that is still in progress is counted when Redis has answered it.
  await until('every event in the log or counted as trimmed', async () => {
    const metrics = await fetch(`${service.url}/metrics`).then(response => response.text())
    const trimmed = Number(/cio_trimmed_events_total\{reason="memory"\} (\d+)/.exec(metrics)?.[1])
    return trimmed + (await redis.client.xlen(STREAM)) === sender.count(200)
  })
  t.same(service.logLines(), [], 'without a warning')
})

t.test(
  'with one consumer stopped, a warning comes first, and 503 only when unread events fill Redis',
  async t => {
    const redis = await smallRedis()
    const service = await startTestService({ REDIS_URL: redis.url, LOG_LEVEL: 'warn' })
    t.teardown(() => service.close())
    const reader = await startReader(redis, 'reader')
    await redis.client.xgroup('CREATE', STREAM, 'crm', '0')
    const sender = startSender(service.port, LARGE_BYTES / 10)
    await until('nearly 80 %', async () => (await usedRatio(redis.client)) > 0.78, 120_000)
    // The rest fills slowly enough for the warning to come first, as in production.
    sender.slowDown(20)
    await until('the first 503', async () => sender.count(503) > 0, 120_000)
    const logBytes = Number(await redis.client.memory('USAGE', STREAM, 'SAMPLES', 0))
    t.ok(logBytes > 0.9 * MAX_BYTES, `the log, all of it unread, takes ${logBytes} of ${MAX_BYTES} bytes`)
    await sender.stop()
    const taken = sender.count(200)
    t.ok((await redis.client.xlen(STREAM)) >= taken, 'and none of it was removed')

    const lines = service.logLines().filter(line => line['usedRatio'] !== undefined)
    t.match(lines[0], { level: 'warn', consumer: 'crm', fullInSeconds: Number })
    const { usedRatio: ratio, fullInSeconds } = lines[0] as { usedRatio: number; fullInSeconds: number }
    t.ok(ratio >= 0.8 && ratio < 0.9, `the warning came at ${ratio}`)
    t.ok(fullInSeconds < 120, `and expected the end in ${fullInSeconds} s`)
    t.match(
      String(lines[0]?.['msg']),
      /^Redis uses 8\d % of its maxmemory: consumer crm has not acknowledged \d+ events/
    )

    // When it reads again, there is memory again.
    const crm = redis.client.duplicate({ lazyConnect: false })
    t.teardown(() => crm.disconnect())
    const again = startSender(service.port, 1000)
    await consume(crm, STREAM, 'crm', 2000)
    await until('deliveries are taken again', async () => again.count(200) > 100)
    await again.stop()
    await reader.stop()
  }
)
