import { setTimeout as sleep } from 'node:timers/promises'
import { freePort, until } from '../../helpers/server.ts'
import { createReplica } from '../replica.ts'
import { alone, connectTo, type Load, type LoadOptions, runUnderLoad } from '../run-under-load.ts'
import type { Demands, Outcome, Scenario, Setting } from '../scenario.ts'
import { type Store, startStore } from '../store.ts'

interface Plan {
  readonly rounds: number
  readonly round: (store: Store, load: Load, n: number) => Promise<void>
  readonly demands?: Partial<Demands>
  readonly env?: Readonly<Record<string, string>>
  readonly load?: Partial<LoadOptions>
}

/** Brings Redis into a state in which it cannot, or should not, accept writes. */
async function inState(
  setting: Setting,
  { rounds, round, demands, env, load: more }: Plan
): Promise<Outcome> {
  const { random, main } = setting
  const store = await startStore('always')
  const replica = await createReplica(
    { REDIS_URL: `redis://127.0.0.1:${store.port}`, DURABILITY: 'fsync', PARTITIONS: '2', ...env },
    main
  )
  try {
    await replica.start()
    await replica.ready()
    const target = alone(replica, 2, () => connectTo(store.port))
    const observed = await runUnderLoad(target, { random, ...more }, async load => {
      for (let n = 0; n < rounds; n++) {
        await load.acknowledged(30)
        await sleep(random.between(0, 100))
        await round(store, load, n)
      }
    })
    return {
      observed,
      demands: { acknowledged: rounds * 30, faults: rounds, retried: rounds, ...demands }
    }
  } finally {
    await replica.kill()
    await store.kill()
  }
}

const stopped = (setting: Setting) => {
  const longest = setting.full ? 30 : 6
  const durations = setting.full ? [1, 2, 3, 5, 8, 13, 21, longest] : [1, 3, longest]
  return inState(setting, {
    rounds: durations.length,
    demands: { duplicates: 1 },
    round: async (store, load, n) => {
      load.fault(`SIGSTOP of Redis for ${durations[n]} s`)
      store.pause()
      await sleep((durations[n] ?? 1) * 1000)
      store.resume()
    }
  })
}

const outOfMemory = (setting: Setting) =>
  inState(setting, {
    rounds: setting.full ? 30 : 3,
    round: async (store, load) => {
      load.fault('out of memory')
      await store.client().config('SET', 'maxmemory', '1mb')
      await load.refused(5)
      await store.client().config('SET', 'maxmemory', '0')
    }
  })

const readOnly = (setting: Setting) =>
  inState(setting, {
    rounds: setting.full ? 30 : 3,
    round: async (store, load) => {
      load.fault('read-only replica')
      await store.client().replicaof('127.0.0.1', await freePort())
      await load.refused(5)
      await store.client().replicaof('NO', 'ONE')
    }
  })

const scriptsFlushed = (setting: Setting) =>
  inState(setting, {
    rounds: setting.full ? 200 : 20,
    demands: { retried: 0, unavailable: false },
    round: async (store, load) => {
      load.fault('SCRIPT FLUSH')
      await store.client().script('FLUSH')
    }
  })

const wiped = (setting: Setting) =>
  inState(setting, {
    rounds: setting.full ? 50 : 5,
    demands: { retried: 0 },
    round: async (store, load) => {
      load.fault('FLUSHALL')
      await store.client().flushall()
      // Events delivered before this may be lost, later ones may not.
      load.excuse({ fromMs: 0, toMs: performance.now() })
    }
  })

/** An id is found in every generation until its window has passed. */
const generations = (setting: Setting) => {
  const windowSeconds = 12
  return inState(setting, {
    rounds: setting.full ? 12 : 3,
    demands: { retried: 0, unavailable: false },
    env: { DEDUPE_WINDOW_SECONDS: String(windowSeconds), CIO_SIGNATURE_TOLERANCE_SECONDS: '10' },
    // At most about 40 events per second and sender, so that a replay is never older than the window.
    load: { replayShare: 0.3, replayDepth: 200, gapMs: 25, senders: 4 },
    round: async (store, load) => {
      const before = await store.client().get('cio:dedupe:{0}:generations')
      await until(
        'a generation is opened or removed',
        async () => (await store.client().get('cio:dedupe:{0}:generations')) !== before,
        60_000
      )
      load.fault('generation opened or removed')
    }
  })
}

export const states: readonly Scenario[] = [
  { name: 'redis-stopped', about: 'SIGSTOP of Redis for 1 to 30 s', run: stopped },
  { name: 'out-of-memory', about: 'Redis is out of memory (maxmemory)', run: outOfMemory },
  { name: 'read-only', about: 'Redis becomes a read-only replica', run: readOnly },
  { name: 'scripts-flushed', about: 'Redis loses its scripts (SCRIPT FLUSH)', run: scriptsFlushed },
  {
    name: 'data-wiped',
    about: 'Redis loses all data (FLUSHALL); later events are appended once',
    run: wiped
  },
  {
    name: 'generations',
    about: 'ids are sent again while generations of the dedupe index are opened and removed, window 12 s',
    run: generations
  }
]
