import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../helpers/server.ts'
import type { VoidSpan } from '../oracle.ts'
import { type Fate, startProxy } from '../proxy.ts'
import { createReplica, type Replica } from '../replica.ts'
import { alone, connectTo, type Load, runUnderLoad } from '../run-under-load.ts'
import type { Outcome, Scenario, Setting } from '../scenario.ts'
import {
  always,
  everysec,
  type Keeping,
  type Store,
  serverHasWaitAof,
  startStore,
  waitAof
} from '../store.ts'

const ready = (replica: Replica) => until('readiness', () => replica.isReady(), 60_000)

/** One Redis, one replica, nothing in between; `round` brings one fault and mends it. */
async function killing(
  setting: Setting,
  { fsync, durability, pace }: Keeping,
  rounds: number,
  round: (world: { store: Store; replica: Replica; load: Load }) => Promise<void>
): Promise<Outcome> {
  const store = await startStore(fsync)
  const replica = await createReplica(
    {
      REDIS_URL: `redis://127.0.0.1:${store.port}`,
      DURABILITY: durability,
      PARTITIONS: '2'
    },
    setting.main
  )
  try {
    await replica.start()
    await ready(replica)
    const target = alone(replica, 2, () => connectTo(store.port))
    const observed = await runUnderLoad(target, { random: setting.random }, async load => {
      for (let n = 0; n < rounds; n++) {
        await load.acknowledged(20 * pace)
        await sleep(setting.random.between(0, 120))
        await round({ store, replica, load })
      }
    })
    return { observed, demands: { acknowledged: rounds * 20 * pace, faults: rounds, retried: rounds } }
  } finally {
    await replica.kill()
    await store.kill()
  }
}

const redisKilled = (keeping: Keeping) => (setting: Setting) =>
  killing(setting, keeping, setting.full ? 200 : 10, async ({ store, load }) => {
    load.fault('SIGKILL of Redis')
    await store.kill()
    if (keeping.durability === 'server') load.excuse(lossOfEverysec(performance.now()))
    await sleep(setting.random.between(0, 100))
    await store.start()
  }).then(keeping.durability === 'server' ? publishingLoss : outcome => outcome)

/** What `everysec` may lose: Redis promises that no more than about two seconds stay unwritten. */
export const lossOfEverysec = (atMs: number): VoidSpan => ({ fromMs: atMs - 3000, toMs: atMs })

export function publishingLoss(outcome: Outcome): Outcome {
  const { lost, obligations, oldestLostMs } = outcome.observed.verdict
  const faults = [...outcome.observed.faults.values()].reduce((sum, number) => sum + number, 0)
  return {
    ...outcome,
    measured: { lostEvents: lost, ofAcknowledged: obligations, inFaults: faults, oldestLostMs }
  }
}

const serviceKilled = (setting: Setting) =>
  killing(setting, always, setting.full ? 200 : 10, async ({ replica, load }) => {
    load.fault('SIGKILL of the service')
    await replica.kill()
    await replica.start()
  }).then(alsoSeeing('refused', 'broken'))

const bothKilled = (setting: Setting) =>
  killing(setting, always, setting.full ? 50 : 4, async ({ store, replica, load }) => {
    load.fault('SIGKILL of both')
    const kills = [() => store.kill(), () => replica.kill()]
    if (setting.random.chance(0.5)) kills.reverse()
    await Promise.all(kills.map(kill => kill()))
    await Promise.all([store.start(), replica.start()])
  }).then(alsoSeeing('refused', 'broken'))

const killedWhileDraining = (setting: Setting) =>
  killing(setting, always, setting.full ? 30 : 4, async ({ replica, load }) => {
    load.fault('SIGKILL while draining')
    replica.signal('SIGTERM')
    await sleep(setting.random.between(0, 30))
    await replica.kill()
    await replica.start()
  }).then(alsoSeeing('refused', 'broken'))

const alsoSeeing =
  (...alsoSeen: string[]) =>
  (outcome: Outcome): Outcome => ({ ...outcome, demands: { ...outcome.demands, alsoSeen } })

/** Kills at exactly the moments that matter, which only a proxy on the wire can find. */
async function chosenPoints(setting: Setting): Promise<Outcome> {
  const rounds = setting.full ? 25 : 3
  const store = await startStore('always')
  const proxy = await startProxy(() => store.port, setting.main)
  const replica = await createReplica(
    { REDIS_URL: `redis://127.0.0.1:${proxy.port}`, DURABILITY: 'fsync' },
    setting.main
  )
  try {
    await replica.start()
    await ready(replica)
    const target = alone(replica, 1, () => connectTo(store.port))
    const killRedis = async (): Promise<Fate> => {
      await store.kill()
      return 'cut'
    }
    const killService = async (): Promise<Fate> => {
      await replica.kill()
      return 'cut'
    }
    // The script runs to its end, and its answer, or the fsync before it, meets a death at some microsecond.
    const killRedisDuring = async (): Promise<Fate> => {
      setTimeout(() => void store.kill(), 0)
      return 'pass'
    }
    const observed = await runUnderLoad(target, { random: setting.random }, async load => {
      const points = [
        ['Redis killed before the script', 'before the script', killRedis, () => store.start()],
        [
          'Redis killed during the script',
          'before the script',
          killRedisDuring,
          () => restartWhenGone(store)
        ],
        [
          'Redis killed after the script, before the answer',
          'after the script',
          killRedis,
          () => store.start()
        ],
        ['service killed before the script', 'before the script', killService, () => replica.start()],
        [
          'service killed after the script, before the answer',
          'after the script',
          killService,
          () => replica.start()
        ]
      ] as const
      for (let n = 0; n < rounds; n++) {
        for (const [name, moment, kill, mend] of points) {
          await load.acknowledged(10)
          await proxy.atNext(moment, kill)
          load.fault(name)
          await mend()
          await ready(replica)
        }
      }
    })
    return {
      observed,
      demands: {
        acknowledged: rounds * 50,
        faults: rounds * 5,
        retried: rounds * 5,
        duplicates: rounds * 2,
        alsoSeen: ['refused', 'broken']
      }
    }
  } finally {
    await replica.kill()
    await proxy.close()
    await store.kill()
  }
}

async function restartWhenGone(store: Store): Promise<void> {
  await store.gone()
  await store.start()
}

export const kills: readonly Scenario[] = [
  {
    name: 'redis-killed',
    about: 'SIGKILL of Redis at random, DURABILITY=fsync with appendfsync always',
    run: redisKilled(always)
  },
  {
    name: 'redis-killed-everysec',
    about:
      'SIGKILL of Redis at random, DURABILITY=server with appendfsync everysec: the process dies, the machine does not',
    run: redisKilled(everysec)
  },
  { name: 'service-killed', about: 'SIGKILL of the service at random, DURABILITY=fsync', run: serviceKilled },
  {
    name: 'both-killed',
    about: 'SIGKILL of Redis and of the service at once, DURABILITY=fsync',
    run: bothKilled
  },
  { name: 'killed-while-draining', about: 'SIGTERM, and SIGKILL while it drains', run: killedWhileDraining },
  {
    name: 'chosen-points',
    about:
      'SIGKILL of Redis or of the service exactly before the script, during it, and between it and its answer',
    run: chosenPoints
  },
  ...(serverHasWaitAof()
    ? [
        {
          name: 'redis-killed-waitaof',
          about: 'SIGKILL of Redis at random, DURABILITY=fsync with appendfsync everysec and WAITAOF',
          run: redisKilled(waitAof)
        }
      ]
    : [])
]
