import { setTimeout as sleep } from 'node:timers/promises'
import { serverHasWaitAof } from '../../helpers/redis.ts'
import type { ExcusedSpan } from '../oracle.ts'
import { type HeldBytes, startProxy } from '../proxy.ts'
import { createReplica, type Replica } from '../replica.ts'
import { alone, connectTo, type Load, runUnderLoad } from '../run-under-load.ts'
import type { Outcome, Scenario, Setting } from '../scenario.ts'
import { always, everysec, type Persistence, type Store, startStore, waitAof } from '../store.ts'

/** One Redis and one replica. `round` injects one fault and ends it. */
async function killing(
  setting: Setting,
  { fsync, durability, pace }: Persistence,
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
    await replica.ready()
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

const redisKilled = (persistence: Persistence) => (setting: Setting) =>
  killing(setting, persistence, setting.full ? 200 : 10, async ({ store, load }) => {
    load.fault('SIGKILL of Redis')
    await store.kill()
    if (persistence.durability === 'server') load.excuse(lossOfEverysec(performance.now()))
    await sleep(setting.random.between(0, 100))
    await store.start()
  }).then(persistence.durability === 'server' ? publishingLoss : outcome => outcome)

/** Events that `everysec` may lose: Redis leaves at most about two seconds of writes unwritten. */
export const lossOfEverysec = (atMs: number): ExcusedSpan => ({ fromMs: atMs - 3000, toMs: atMs })

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
  }).then(alsoSeeing('refused', 'reset'))

const bothKilled = (setting: Setting) =>
  killing(setting, always, setting.full ? 50 : 4, async ({ store, replica, load }) => {
    load.fault('SIGKILL of both')
    const kills = [() => store.kill(), () => replica.kill()]
    if (setting.random.chance(0.5)) kills.reverse()
    await Promise.all(kills.map(kill => kill()))
    await Promise.all([store.start(), replica.start()])
  }).then(alsoSeeing('refused', 'reset'))

const killedWhileDraining = (setting: Setting) =>
  killing(setting, always, setting.full ? 30 : 4, async ({ replica, load }) => {
    load.fault('SIGKILL while draining')
    replica.signal('SIGTERM')
    await sleep(setting.random.between(0, 30))
    await replica.kill()
    await replica.start()
  }).then(alsoSeeing('refused', 'reset'))

const alsoSeeing =
  (...alsoSeen: string[]) =>
  (outcome: Outcome): Outcome => ({ ...outcome, demands: { ...outcome.demands, alsoSeen } })

/** Kills immediately before, during and after the append script; a proxy detects these moments. */
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
    await replica.ready()
    const target = alone(replica, 1, () => connectTo(store.port))
    const killRedis = async (): Promise<HeldBytes> => {
      await store.kill()
      return 'reset'
    }
    const killService = async (): Promise<HeldBytes> => {
      await replica.kill()
      return 'reset'
    }
    // The kill happens while the script runs, or during the fsync or the reply after it.
    const killRedisDuring = async (): Promise<HeldBytes> => {
      setTimeout(() => void store.kill(), 0)
      return 'forward'
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
          'Redis killed after the script, before the reply',
          'after the script',
          killRedis,
          () => store.start()
        ],
        ['service killed before the script', 'before the script', killService, () => replica.start()],
        [
          'service killed after the script, before the reply',
          'after the script',
          killService,
          () => replica.start()
        ]
      ] as const
      for (let n = 0; n < rounds; n++) {
        for (const [name, moment, kill, restart] of points) {
          await load.acknowledged(10)
          await proxy.atNext(moment, kill)
          load.fault(name)
          await restart()
          await replica.ready()
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
        alsoSeen: ['refused', 'reset']
      }
    }
  } finally {
    await replica.kill()
    await proxy.close()
    await store.kill()
  }
}

async function restartWhenGone(store: Store): Promise<void> {
  await store.exited()
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
      'SIGKILL of Redis at random, DURABILITY=server with appendfsync everysec: only the process ends, not the machine',
    run: redisKilled(everysec)
  },
  { name: 'service-killed', about: 'SIGKILL of the service at random, DURABILITY=fsync', run: serviceKilled },
  {
    name: 'both-killed',
    about: 'SIGKILL of Redis and of the service at once, DURABILITY=fsync',
    run: bothKilled
  },
  {
    name: 'killed-while-draining',
    about: 'SIGTERM of the service, and SIGKILL while it drains',
    run: killedWhileDraining
  },
  {
    name: 'chosen-points',
    about:
      'SIGKILL of Redis or of the service immediately before the append script, during it, and before its reply',
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
