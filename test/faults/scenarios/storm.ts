import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../helpers/random.ts'
import { freePort } from '../../helpers/server.ts'
import { type RedisProxy, startProxy } from '../proxy.ts'
import { createReplica, type Replica } from '../replica.ts'
import { connectTo, type Load, runUnderLoad } from '../run-under-load.ts'
import type { Outcome, Scenario, Setting } from '../scenario.ts'
import { type Store, startStore } from '../store.ts'

interface World {
  readonly store: Store
  readonly proxies: readonly RedisProxy[]
  readonly replicas: readonly Replica[]
  readonly random: Random
}

/** The promise resolves when the fault is over. Faults of one kind never overlap, faults of different kinds do. */
type Fault = readonly [name: string, inject: (world: World) => Promise<void>]

const pause = (random: Random, longestMs: number): Promise<void> => sleep(random.between(0, longestMs))

const redisFaults: readonly Fault[] = [
  [
    'SIGKILL of Redis',
    async ({ store, random }) => {
      await store.kill()
      await pause(random, 500)
      await store.start()
    }
  ],
  [
    'SIGSTOP of Redis',
    async ({ store, random }) => {
      store.pause()
      await pause(random, 3000)
      store.resume()
    }
  ],
  [
    'out of memory',
    async ({ store, random }) => {
      await store.client().config('SET', 'maxmemory', '1mb')
      await pause(random, 500)
      await store.client().config('SET', 'maxmemory', '0')
    }
  ],
  [
    'read-only replica',
    async ({ store, random }) => {
      await store.client().replicaof('127.0.0.1', await freePort())
      await pause(random, 500)
      await store.client().replicaof('NO', 'ONE')
    }
  ],
  ['SCRIPT FLUSH', async ({ store }) => void (await store.client().script('FLUSH'))]
]

const replicaFaults: readonly Fault[] = [
  [
    'SIGKILL of a replica',
    async ({ replicas, random }) => {
      const replica = random.pick(replicas)
      await replica.kill()
      await replica.start()
    }
  ],
  [
    'SIGTERM of a replica',
    async ({ replicas, random }) => {
      const replica = random.pick(replicas)
      await replica.terminate()
      await replica.start()
    }
  ],
  [
    'SIGKILL of both replicas',
    async ({ replicas }) => {
      await Promise.all(replicas.map(replica => replica.kill()))
      await Promise.all(replicas.map(replica => replica.start()))
    }
  ]
]

const wireFaults: readonly Fault[] = [
  ['connection cut', async ({ proxies, random }) => void random.pick(proxies).cut()],
  ['connection stalled', ({ proxies, random }) => random.pick(proxies).stall(random.between(100, 3000))],
  ['peer vanished', ({ proxies, random }) => random.pick(proxies).halfOpen(random.between(100, 1500))],
  [
    'reply lost after the script ran',
    async ({ proxies, random }) => {
      // During another fault of Redis or the replica no script may run.
      const trap = random.pick(proxies).atNext('after the script', async () => 'reset')
      await Promise.race([trap, sleep(2000)])
    }
  ]
]

/** Three kinds of faults at the same time, two replicas, two partitions. */
async function storm(setting: Setting): Promise<Outcome> {
  const { random, main } = setting
  const seconds = setting.full ? 400 : 30
  const store = await startStore('always')
  const proxies = await Promise.all([startProxy(() => store.port, main), startProxy(() => store.port, main)])
  const replicas = await Promise.all(
    proxies.map(({ port }) =>
      createReplica({ REDIS_URL: `redis://127.0.0.1:${port}`, DURABILITY: 'fsync', PARTITIONS: '2' }, main)
    )
  )
  const world = { store, proxies, replicas, random }
  try {
    await Promise.all(replicas.map(replica => replica.start()))
    for (const replica of replicas) await replica.ready()
    const target = {
      // Each attempt goes to a random replica, as behind a load balancer.
      port: () => random.pick(replicas).port,
      replicas,
      partitions: 2,
      connect: () => connectTo(store.port)
    }
    const observed = await runUnderLoad(target, { random, senders: 8 }, async load => {
      const endMs = performance.now() + seconds * 1000
      const kinds = [redisFaults, replicaFaults, wireFaults]
      await Promise.all(kinds.map(faults => injectUntil(endMs, faults, world, load)))
    })
    return {
      observed,
      demands: {
        acknowledged: seconds * 10,
        faults: seconds / 2,
        retried: seconds,
        duplicates: seconds / 15,
        alsoSeen: ['refused', 'reset']
      }
    }
  } finally {
    await Promise.all(replicas.map(replica => replica.kill()))
    await Promise.all(proxies.map(proxy => proxy.close()))
    await store.kill()
  }
}

async function injectUntil(endMs: number, faults: readonly Fault[], world: World, load: Load): Promise<void> {
  while (performance.now() < endMs) {
    await pause(world.random, 2000)
    const [name, inject] = world.random.pick(faults)
    await inject(world)
    load.fault(name)
  }
}

export const storms: readonly Scenario[] = [
  {
    name: 'storm',
    about: 'random faults of Redis, both replicas and their connections at the same time, DURABILITY=fsync',
    run: storm
  }
]
