import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../helpers/server.ts'
import { NOT_RESENT } from '../check-names.ts'
import { type RedisProxy, startProxy } from '../proxy.ts'
import { createReplica } from '../replica.ts'
import { alone, connectTo, type Load, runUnderLoad } from '../run-under-load.ts'
import type { Check, Demands, Outcome, Scenario, Setting } from '../scenario.ts'
import { startStore } from '../store.ts'

interface Plan {
  readonly rounds: number
  readonly round: (proxy: RedisProxy, load: Load) => Promise<void>
  readonly demands?: Partial<Demands>
}

/** Runs the service with a proxy between it and Redis. */
async function onWire(setting: Setting, { rounds, round, demands }: Plan): Promise<Outcome> {
  const { random, main } = setting
  const store = await startStore('always')
  const proxy = await startProxy(() => store.port, main)
  const replica = await createReplica(
    { REDIS_URL: `redis://127.0.0.1:${proxy.port}`, DURABILITY: 'fsync' },
    main
  )
  try {
    await replica.start()
    await replica.ready()
    const target = alone(replica, 1, () => connectTo(store.port))
    const observed = await runUnderLoad(target, { random }, async load => {
      for (let n = 0; n < rounds; n++) {
        await load.acknowledged(20)
        await sleep(random.between(0, 50))
        await round(proxy, load)
      }
    })
    const needed = { acknowledged: rounds * 20, faults: rounds, retried: rounds, ...demands }
    return { observed, demands: needed, extra: [notResent(observed.ledger, proxy)] }
  } finally {
    await replica.kill()
    await proxy.close()
    await store.kill()
  }
}

/**
 * After the first calls, Redis has the script and the list of generations. From then on, an event that was sent to
 * Redis more often than it was delivered was sent again by the service.
 */
function notResent({ events }: Load['ledger'], proxy: RedisProxy): Check {
  const first = 2
  const resent = [...events.values()]
    .filter(({ id, sequence, attempts }) => sequence > first && (proxy.appendsSeen.get(id) ?? 0) > attempts)
    .map(({ id, attempts }) => ({ id, attempts, appendsSeen: proxy.appendsSeen.get(id) }))
  return {
    name: NOT_RESENT,
    passed: resent.length === 0 && proxy.appendsSeen.size > 0,
    detail: { resent: resent.length, examples: resent.slice(0, 3), seenOnTheWire: proxy.appendsSeen.size }
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
      await proxy.atNext('after the script', async () => 'reset')
      load.fault('reply lost after the script ran')
    }
  })

/** The reply is lost and the connection stays open: only the timeout of the command helps. */
const replySwallowed = (setting: Setting) =>
  onWire(setting, {
    rounds: setting.full ? 30 : 3,
    demands: { duplicates: setting.full ? 30 : 3 },
    round: async (proxy, load) => {
      await proxy.atNext('after the script', async () => 'drop')
      load.fault('reply dropped')
      // The service must close this connection: it would assign later replies to the wrong commands.
      const refused = load.ledger.answers.get('503') ?? 0
      await until(
        'the command times out',
        async () => (load.ledger.answers.get('503') ?? 0) > refused,
        30_000
      )
    }
  })

const stalled = (setting: Setting) =>
  onWire(setting, {
    rounds: setting.full ? 30 : 4,
    demands: { retried: 1 },
    round: async (proxy, load) => {
      load.fault('connection stalled')
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
    about: 'the script runs, and the connection is reset before its reply',
    run: replyLost
  },
  {
    name: 'reply-swallowed',
    about: 'the script runs, its reply is lost, and the connection stays open',
    run: replySwallowed
  },
  { name: 'wire-stalled', about: 'all bytes are delayed for 0.5 to 4 s', run: stalled },
  {
    name: 'half-open',
    about: 'Redis vanishes: connections stay open and silent',
    run: halfOpen
  }
]
