import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../helpers/server.ts'
import { type FragileDisk, makeFragileDisk, makeSmallDisk, type SmallDisk } from '../disk.ts'
import { createReplica } from '../replica.ts'
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
import { lossOfEverysec, publishingLoss } from './kills.ts'

/** Redis on a disk of its own, `round` as often as asked. */
async function onDisk(
  setting: Setting,
  disk: FragileDisk | SmallDisk,
  { fsync, durability, pace }: Keeping,
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
    await until('readiness', () => replica.isReady(), 60_000)
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

const powerCut = (keeping: Keeping) => async (setting: Setting) => {
  const disk = makeFragileDisk()
  const outcome = await onDisk(setting, disk, keeping, setting.full ? 100 : 5, async (store, load) => {
    load.fault('power cut')
    const freeze = (): void => {
      store.pause()
      // What is acknowledged from here on can't have been: Redis stands still.
      if (keeping.durability === 'server') load.excuse(lossOfEverysec(performance.now() + 50))
    }
    await disk.losePower(freeze, () => store.kill())
    await store.start()
  })
  return keeping.durability === 'server' ? publishingLoss(outcome) : outcome
}

/** With `always` Redis ends itself rather than answer for what it could not write. */
const diskFullAlways = (setting: Setting) => {
  const disk = makeSmallDisk(24)
  return onDisk(setting, disk, always, setting.full ? 20 : 2, async (store, load) => {
    load.fault('disk full')
    disk.fill()
    await store.gone()
    await sleep(setting.random.between(0, 300))
    disk.free()
    await store.start()
  })
}

/** With `everysec` it refuses writes until there is room. */
const diskFullEverysec = (setting: Setting) => {
  const disk = makeSmallDisk(24)
  return onDisk(setting, disk, everysec, setting.full ? 20 : 2, async (store, load) => {
    load.fault('disk full')
    disk.fill()
    const refused = load.ledger.answers.get('503') ?? 0
    await until('refusals', async () => (load.ledger.answers.get('503') ?? 0) > refused + 5, 60_000)
    await sleep(setting.random.between(0, 1000))
    disk.free()
    await until('Redis writing again', async () =>
      /aof_last_write_status:ok/.test(await store.client().info('persistence'))
    )
  })
}

export const power: readonly Scenario[] = [
  {
    name: 'power-cut',
    about:
      'the power of the machine Redis runs on goes: what the disk does not have is gone. DURABILITY=fsync',
    run: powerCut(always)
  },
  {
    name: 'power-cut-everysec',
    about: 'the same with DURABILITY=server and appendfsync everysec: what is lost is counted, not hidden',
    run: powerCut(everysec)
  },
  {
    name: 'disk-full',
    about: 'the disk of the append-only file is full, DURABILITY=fsync',
    run: diskFullAlways
  },
  {
    name: 'disk-full-everysec',
    about: 'the same with DURABILITY=server and appendfsync everysec',
    run: diskFullEverysec
  },
  ...(serverHasWaitAof()
    ? [
        {
          name: 'power-cut-waitaof',
          about: 'the same with DURABILITY=fsync, appendfsync everysec and WAITAOF: nothing is lost',
          run: powerCut(waitAof)
        }
      ]
    : [])
]
