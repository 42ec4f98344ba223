import { setTimeout as sleep } from 'node:timers/promises'
import { serverHasWaitAof } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'
import { type FragileDisk, makeFragileDisk, makeSmallDisk, type SmallDisk } from '../disk.ts'
import { createReplica } from '../replica.ts'
import { alone, connectTo, type Load, runUnderLoad } from '../run-under-load.ts'
import type { Outcome, Scenario, Setting } from '../scenario.ts'
import { always, everysec, type Persistence, type Store, startStore, waitAof } from '../store.ts'
import { lossOfEverysec, publishingLoss } from './kills.ts'

/** Redis stores its data on `disk`. `round` injects one fault and ends it. */
async function onDisk(
  setting: Setting,
  disk: FragileDisk | SmallDisk,
  { fsync, durability, pace }: Persistence,
  rounds: number,
  round: (store: Store, load: Load) => Promise<void>
): Promise<Outcome> {
  const store = await startStore(fsync, { folder: disk.folder })
  const replica = await createReplica(
    { REDIS_URL: `redis://127.0.0.1:${store.port}`, DURABILITY: durability },
    setting.main
  )
  try {
    await replica.start()
    await replica.ready()
    const target = alone(replica, 1, () => connectTo(store.port))
    const observed = await runUnderLoad(target, { random: setting.random }, async load => {
      for (let n = 0; n < rounds; n++) {
        await load.acknowledged(60 * pace)
        await sleep(setting.random.between(0, 300))
        await round(store, load)
      }
    })
    return { observed, demands: { acknowledged: rounds * 60 * pace, faults: rounds, retried: rounds } }
  } finally {
    await replica.kill()
    await store.kill()
    disk.remove()
  }
}

const powerCut = (persistence: Persistence) => async (setting: Setting) => {
  const disk = makeFragileDisk()
  const outcome = await onDisk(setting, disk, persistence, setting.full ? 100 : 5, async (store, load) => {
    load.fault('power cut')
    const freeze = (): void => {
      store.pause()
      // From here on nothing can be acknowledged: Redis is paused.
      if (persistence.durability === 'server') load.excuse(lossOfEverysec(performance.now() + 50))
    }
    await disk.losePower(freeze, () => store.kill())
    await store.start()
  })
  return persistence.durability === 'server' ? publishingLoss(outcome) : outcome
}

/** With `always`, Redis exits when it cannot write. */
const diskFullAlways = (setting: Setting) => {
  const disk = makeSmallDisk(24)
  return onDisk(setting, disk, always, setting.full ? 20 : 2, async (store, load) => {
    load.fault('disk full')
    disk.fill()
    await store.exited()
    await sleep(setting.random.between(0, 300))
    disk.free()
    await store.start()
  })
}

/** With `everysec`, Redis refuses commands that write until there is space. */
const diskFullEverysec = (setting: Setting) => {
  const disk = makeSmallDisk(24)
  return onDisk(setting, disk, everysec, setting.full ? 20 : 2, async (store, load) => {
    load.fault('disk full')
    disk.fill()
    const refused = load.ledger.answers.get('503') ?? 0
    await until(
      'deliveries are refused',
      async () => (load.ledger.answers.get('503') ?? 0) > refused + 5,
      60_000
    )
    await sleep(setting.random.between(0, 1000))
    disk.free()
    await until('Redis writes again', async () =>
      /aof_last_write_status:ok/.test(await store.client().info('persistence'))
    )
  })
}

export const power: readonly Scenario[] = [
  {
    name: 'power-cut',
    about: "power cut of Redis' machine: everything that has not reached the disk is lost. DURABILITY=fsync",
    run: powerCut(always)
  },
  {
    name: 'power-cut-everysec',
    about: 'power cut with DURABILITY=server and appendfsync everysec: lost events are counted',
    run: powerCut(everysec)
  },
  {
    name: 'disk-full',
    about: 'the disk of the append-only file is full, DURABILITY=fsync',
    run: diskFullAlways
  },
  {
    name: 'disk-full-everysec',
    about: 'the disk of the append-only file is full, DURABILITY=server with appendfsync everysec',
    run: diskFullEverysec
  },
  ...(serverHasWaitAof()
    ? [
        {
          name: 'power-cut-waitaof',
          about: 'power cut with DURABILITY=fsync, appendfsync everysec and WAITAOF: nothing is lost',
          run: powerCut(waitAof)
        }
      ]
    : [])
]
