import type { Redis } from 'ioredis'
import { usedRatio } from '../../helpers/memory.ts'
import { until } from '../../helpers/server.ts'
import { NOTHING_MISSED } from '../check-names.ts'
import { startReader } from '../reader.ts'
import { createReplica, type Replica } from '../replica.ts'
import { alone, connectTo, type Load, runUnderLoad } from '../run-under-load.ts'
import type { Check, Outcome, Scenario, Setting } from '../scenario.ts'
import { type Store, startStore } from '../store.ts'

const MAX_BYTES = 64 * 1024 * 1024
const PARTITIONS = 2
const STREAMS = Array.from({ length: PARTITIONS }, (_, partition) => `cio:events:{${partition}}`)
const STOPPED = 'stopped'

/** Large, so that ten times the memory of Redis is sent within a minute. */
const LARGE = 'x'.repeat(30_000)
const LARGE_EVENTS = Math.ceil(MAX_BYTES / LARGE.length)
/** Small, so that the last fifth fills slowly enough for the warning to be logged first, as in production. */
const SMALL = 'x'.repeat(5000)

/** A small Redis. First every event is read. Then one consumer stops until Redis is full, and reads again. */
async function memoryPressure(setting: Setting): Promise<Outcome> {
  const { random, main, full } = setting
  const store = await startStore('everysec', { settings: { maxmemory: String(MAX_BYTES) } })
  const env = { REDIS_URL: `redis://127.0.0.1:${store.port}`, PARTITIONS: String(PARTITIONS) }
  const replica = await createReplica(env, main)
  const connect = (): Redis => connectTo(store.port)
  const times = full ? 10 : 2
  let padding = LARGE
  const extra: Check[] = []
  try {
    await replica.start()
    await replica.ready()
    const reading = { pageEntries: 20 }
    const options = { random, senders: 8, gapMs: 1, padding: () => padding, reading }
    const observed = await runUnderLoad(alone(replica, PARTITIONS, connect), options, async load => {
      load.fault(`${times} times the memory of Redis, all events read`)
      for (let n = 0; n < times; n++) await load.acknowledged(LARGE_EVENTS)
      const refused = refusals(load)
      extra.push({
        name: 'no delivery was refused while every event was read',
        passed: refused === 0,
        detail: { refused }
      })

      load.fault('a consumer that stopped')
      for (const stream of STREAMS) await store.client().xgroup('CREATE', stream, STOPPED, '$')
      const stoppedAtMs = performance.now()
      // Trimming removes a tenth at a time, read events first. If it happens 14 times, unread events were trimmed too.
      let reliefs = 0
      const isOver = async (): Promise<boolean> => {
        const used = await usedRatio(store.client())
        if (used < 0.75 && padding === SMALL) reliefs++
        if (used < 0.75) padding = LARGE
        if (used > 0.78) padding = SMALL
        return refusals(load) > refused || reliefs > 14
      }
      await until('the first refusal', isOver, 120_000)
      extra.push(...(await checksAtFirstRefusal(store, replica)))

      const late = await startReader(STREAMS, connect, { ...reading, group: STOPPED })
      await load.acknowledged(100)
      const meanwhile = [...load.ledger.events.values()].filter(
        ({ deliveredAtMs, acknowledgedAtMs }) => acknowledgedAtMs !== undefined && deliveredAtMs > stoppedAtMs
      )
      const missed = (): number => {
        const got = new Set([...late.entries.values()].map(({ eventId }) => eventId))
        return meanwhile.filter(({ id }) => !got.has(id)).length
      }
      // If events stay missing, the check below fails.
      await until('the consumer has every event', async () => missed() === 0, 30_000).catch(() => {})
      await late.stop()
      extra.push({
        name: NOTHING_MISSED,
        passed: missed() === 0 && meanwhile.length > 100,
        detail: { missed: missed(), of: meanwhile.length }
      })
    })
    return { observed, extra, demands: { acknowledged: times * LARGE_EVENTS, faults: 2, retried: 1 } }
  } finally {
    await replica.kill()
    await store.kill()
  }
}

const refusals = ({ ledger }: Load): number => ledger.answers.get('503') ?? 0

async function checksAtFirstRefusal(store: Store, replica: Replica): Promise<readonly Check[]> {
  const warnings = replica
    .output()
    .split('\n')
    .flatMap(line => (line.includes('of its maxmemory') ? [JSON.parse(line) as Record<string, unknown>] : []))
  const sizes = STREAMS.map(stream => store.client().memory('USAGE', stream, 'SAMPLES', 0))
  const logBytes = (await Promise.all(sizes)).reduce<number>((sum, bytes) => sum + (bytes ?? 0), 0)
  const share = Math.round((logBytes / MAX_BYTES) * 1000) / 1000
  return [
    {
      name: 'with a stopped consumer, deliveries were refused only when unread events filled Redis',
      passed: share > 0.85,
      detail: { shareOfTheLog: share }
    },
    {
      name: 'before that, a warning named the consumer and forecast when Redis would be full',
      passed: warnings.some(
        ({ level, consumer, fullInSeconds }) =>
          level === 'warn' && consumer === STOPPED && typeof fullInSeconds === 'number'
      ),
      detail: { warnings }
    }
  ]
}

export const memory: readonly Scenario[] = [
  {
    name: 'memory-pressure',
    about: 'a Redis of 64 MB gets many times as many events: read ones are trimmed, unread ones are kept',
    run: memoryPressure
  }
]
