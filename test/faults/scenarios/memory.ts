import { usedRatio } from '../../helpers/memory.ts'
import { until } from '../../helpers/server.ts'
import { createReplica, type Replica } from '../replica.ts'
import { alone, connectTo, type Load, runUnderLoad } from '../run-under-load.ts'
import type { Check, Outcome, Scenario, Setting } from '../scenario.ts'
import { type Store, startStore } from '../store.ts'

const MAX_BYTES = 64 * 1024 * 1024
const PARTITIONS = 2
const STREAMS = Array.from({ length: PARTITIONS }, (_, partition) => `cio:events:{${partition}}`)
const STOPPED = 'stopped'

/** Large ones, so that ten times of what fits is sent within a minute. */
const LARGE = 'x'.repeat(30_000)
const LARGE_EVENTS = Math.ceil(MAX_BYTES / LARGE.length)
/** The last fifth fills slowly enough for the warning to come first, as in production. */
const SMALL = 'x'.repeat(5000)

/** Redis is small. First every event is read, then one consumer stops, then it is removed. */
async function memoryPressure(setting: Setting): Promise<Outcome> {
  const { random, main, full } = setting
  const store = await startStore('everysec', { settings: { maxmemory: String(MAX_BYTES) } })
  const env = { REDIS_URL: `redis://127.0.0.1:${store.port}`, PARTITIONS: String(PARTITIONS) }
  const replica = await createReplica(env, main)
  const times = full ? 10 : 2
  let padding = LARGE
  let extra: readonly Check[] = []
  try {
    await replica.start()
    await until('readiness', () => replica.isReady(), 60_000)
    const target = alone(replica, PARTITIONS, () => connectTo(store.port))
    const options = { random, senders: 8, gapMs: 1, padding: () => padding, readerPageEntries: 20 }
    const observed = await runUnderLoad(target, options, async load => {
      load.fault(`${times} times of what fits, all of it read`)
      for (let n = 0; n < times; n++) await load.acknowledged(LARGE_EVENTS)
      const refusedWhileRead = refusals(load)

      load.fault('a consumer that stopped')
      for (const stream of STREAMS) await store.client().xgroup('CREATE', stream, STOPPED, '$')
      await until('nearly 80 %', async () => (await usedRatio(store.client())) > 0.78, 60_000)
      padding = SMALL
      await until('the first refusal', async () => refusals(load) > refusedWhileRead, 120_000)
      extra = [
        {
          name: 'while every event was read, no delivery was refused',
          passed: refusedWhileRead === 0,
          detail: { refusedWhileRead }
        },
        ...(await checksAtFirstRefusal(store, replica))
      ]
      for (const stream of STREAMS) await store.client().xgroup('DESTROY', stream, STOPPED)
      await load.acknowledged(100)
    })
    return {
      observed,
      extra,
      demands: { acknowledged: times * LARGE_EVENTS, faults: 2, retried: 1 }
    }
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
      name: 'with a consumer stopped, deliveries were refused only when unread events filled Redis',
      passed: share > 0.85,
      detail: { shareOfTheLog: share }
    },
    {
      name: 'before that, a warning named the consumer and projected when Redis would be full',
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
    about: 'a Redis of 64 MB, many times of what fits: read events make room, unread ones stay',
    run: memoryPressure
  }
]
