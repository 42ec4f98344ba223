import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../helpers/server.ts'
import { type RedisProxy, startProxy } from '../proxy.ts'
import { createReplica } from '../replica.ts'
import { alone, connectTo, type Load, runUnderLoad } from '../run-under-load.ts'
import type { Check, Demands, Outcome, Scenario, Setting } from '../scenario.ts'
import { startStore } from '../store.ts'

interface Plan {
  readonly rounds: number
  readonly round: (proxy: RedisProxy, load: Load) => Promise<void>
  readonly demands?: Partial<Demands>
  /** Appends may reach Redis no more often than the senders delivered. */
  readonly witnessed?: boolean
}

/** A wire that fails between the service and Redis. */
async function onWire(
  setting: Setting,
  { rounds, round, demands, witnessed = true }: Plan
): Promise<Outcome> {
  const { random, main } = setting
  const store = await startStore('always')
  const proxy = await startProxy(() => store.port, main)
  const replica = await createReplica(
    { REDIS_URL: `redis://127.0.0.1:${proxy.port}`, DURABILITY: 'fsync' },
    main
  )
  try {
    await replica.start()
    await until('readiness', () => replica.isReady(), 60_000)
    const target = alone(replica, 1, () => connectTo(store.port))
    const observed = await runUnderLoad(target, { random }, async load => {
      for (let n = 0; n < rounds; n++) {
        await load.acknowledged(20)
        await sleep(random.between(0, 50))
        await round(proxy, load)
      }
    })
    const needed = { acknowledged: rounds * 20, faults: rounds, retried: rounds, ...demands }
    const extra = witnessed ? [neverResent(observed.ledger, proxy)] : []
    return { observed, demands: needed, extra }
  } finally {
    await replica.kill()
    await proxy.close()
    await store.kill()
  }
}

/**
 * Redis knows the script and its generations after the first few calls, and forgets neither here: from then on
 * an event that goes to Redis more often than it was delivered was sent again by the service itself.
 */
function neverResent({ events }: Load['ledger'], proxy: RedisProxy): Check {
  const first = 2
  const resent = [...events.values()]
    .filter(({ id, sequence, attempts }) => sequence > first && (proxy.witnessed.get(id) ?? 0) > attempts)
    .map(({ id, attempts }) => ({ id, attempts, witnessed: proxy.witnessed.get(id) }))
  return {
    name: 'the service sent nothing to Redis again of its own accord',
    passed: resent.length === 0 && proxy.witnessed.size > 0,
    detail: { resent: resent.length, examples: resent.slice(0, 3), seenOnTheWire: proxy.witnessed.size }
  }
}

const cut = (setting: Setting) =>
  onWire(setting, {
    rounds: setting.full ? 200 : 20,
    round: async (proxy, load) => {
      load.fault('connection cut')
      proxy.cut()
    }
  })

const replyLost = (setting: Setting) =>
  onWire(setting, {
    rounds: setting.full ? 200 : 20,
    demands: { duplicates: setting.full ? 150 : 15 },
    round: async (proxy, load) => {
      await proxy.atNext('after the script', async () => 'cut')
      load.fault('answer lost after the script ran')
    }
  })

/** The answer never comes, and the connection stays: only the command's own time limit helps. */
const replySwallowed = (setting: Setting) =>
  onWire(setting, {
    rounds: setting.full ? 30 : 3,
    demands: { duplicates: setting.full ? 30 : 3 },
    round: async (proxy, load) => {
      await proxy.atNext('after the script', async () => 'swallow')
      load.fault('answer swallowed')
      // Whatever comes on this connection now would be taken for the answer before: it has to be given up.
      const refused = load.ledger.answers.get('503') ?? 0
      await until('the time limit', async () => (load.ledger.answers.get('503') ?? 0) > refused, 30_000)
    }
  })

const stalled = (setting: Setting) =>
  onWire(setting, {
    rounds: setting.full ? 30 : 4,
    demands: { retried: 1 },
    round: async (proxy, load) => {
      load.fault('wire stalled')
      await proxy.stall(setting.random.between(500, 4000))
    }
  })

const halfOpen = (setting: Setting) =>
  onWire(setting, {
    rounds: setting.full ? 20 : 2,
    round: async (proxy, load) => {
      load.fault('peer vanished')
      await proxy.halfOpen(setting.random.between(200, 2500))
    }
  })

export const network: readonly Scenario[] = [
  { name: 'wire-cut', about: 'connections between the service and Redis are reset', run: cut },
  {
    name: 'reply-lost',
    about: 'the script ran, and the connection is reset before its answer',
    run: replyLost
  },
  {
    name: 'reply-swallowed',
    about: 'the script ran, and its answer never comes, on a connection that stays',
    run: replySwallowed
  },
  { name: 'wire-stalled', about: 'nothing passes for 0.5 to 4 s, then everything', run: stalled },
  {
    name: 'half-open',
    about: 'Redis vanishes without a goodbye: connections stay open and silent',
    run: halfOpen
  }
]
