import { setTimeout as sleep } from 'node:timers/promises'
import { type Balancer, startBalancer } from '../balancer.ts'
import { createReplica, type Replica } from '../replica.ts'
import { connectTo, type Load, runUnderLoad } from '../run-under-load.ts'
import type { Check, Outcome, Scenario, Setting } from '../scenario.ts'
import { startStore } from '../store.ts'

interface World {
  readonly replicas: readonly Replica[]
  readonly balancer: Balancer
  readonly load: Load
}

/** Two replicas in production mode behind haproxy. */
async function behindBalancer(
  setting: Setting,
  rounds: number,
  round: (world: World, n: number) => Promise<void>
): Promise<Omit<Outcome, 'demands'>> {
  const { random, main } = setting
  const store = await startStore('always')
  const env = {
    NODE_ENV: 'production',
    CIO_ALLOWED_IPS: '127.0.0.1',
    REDIS_URL: `redis://127.0.0.1:${store.port}`,
    DURABILITY: 'fsync',
    SHUTDOWN_DELAY_SECONDS: '3'
  }
  const replicas = await Promise.all([createReplica(env, main), createReplica(env, main)])
  const balancer = await startBalancerFor(replicas)
  try {
    const target = {
      port: () => balancer.port,
      replicas,
      partitions: 1,
      connect: () => connectTo(store.port)
    }
    const observed = await runUnderLoad(target, { random, senders: 12 }, async load => {
      for (let n = 0; n < rounds; n++) {
        await load.acknowledged(50)
        await sleep(random.between(0, 200))
        await round({ replicas, balancer, load }, n)
      }
    })
    return { observed }
  } finally {
    await balancer.stop()
    await Promise.all(replicas.map(replica => replica.kill()))
    await store.kill()
  }
}

async function startBalancerFor(replicas: readonly Replica[]): Promise<Balancer> {
  await Promise.all(replicas.map(replica => replica.start()))
  for (const replica of replicas) await replica.ready()
  const balancer = await startBalancer(replicas.map(({ port }) => port))
  await Promise.all(replicas.map((_, number) => balancer.up(number)))
  return balancer
}

/** No delivery may fail. */
async function rollingDeploy(setting: Setting): Promise<Outcome> {
  const rounds = setting.full ? 30 : 4
  const exits: (number | string | null)[] = []
  const outcome = await behindBalancer(setting, rounds, async ({ replicas, balancer, load }, n) => {
    const number = n % replicas.length
    const replica = replicas[number] as Replica
    load.fault('SIGTERM, and a new process')
    exits.push(await replica.terminate())
    await replica.start()
    await balancer.up(number)
  })
  const { ledger, refusalReasons } = outcome.observed
  const unrefused: Check = {
    name: 'no delivery was retried, and every process exited with 0',
    passed: ledger.retried === 0 && exits.every(code => code === 0),
    detail: {
      retried: ledger.retried,
      refusals: Object.fromEntries(ledger.refusals),
      refusalReasons,
      exits
    }
  }
  return {
    ...outcome,
    extra: [unrefused],
    demands: { acknowledged: rounds * 200, faults: rounds, retried: 0, unavailable: false }
  }
}

/** The balancer sends deliveries that the killed replica did not answer to the other one. */
async function replicaKilled(setting: Setting): Promise<Outcome> {
  const rounds = setting.full ? 100 : 6
  const outcome = await behindBalancer(setting, rounds, async ({ replicas, balancer, load }) => {
    const number = setting.random.whole(0, replicas.length)
    const replica = replicas[number] as Replica
    load.fault('SIGKILL of one of two replicas')
    await replica.kill()
    await replica.start()
    await balancer.up(number)
  })
  return { ...outcome, demands: { acknowledged: rounds * 50, faults: rounds, retried: 0 } }
}

export const deploys: readonly Scenario[] = [
  {
    name: 'rolling-deploy',
    about: 'two replicas behind haproxy are restarted in turn with SIGTERM',
    run: rollingDeploy
  },
  { name: 'replica-killed', about: 'SIGKILL of one of two replicas behind haproxy', run: replicaKilled }
]
