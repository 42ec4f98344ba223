import { rotateAndExpire } from '../../../src/log/dedupe-index.ts'
import { partitionKeys } from '../../../src/log/keys.ts'
import { until } from '../../helpers/server.ts'
import { FRESHNESS } from '../check-names.ts'
import { createClock } from '../clock.ts'
import { createReplica } from '../replica.ts'
import { alone, connectTo, type Load, runUnderLoad } from '../run-under-load.ts'
import type { Check, Outcome, Scenario, Setting } from '../scenario.ts'
import { startStore } from '../store.ts'

const HOUR_SECONDS = 3600
/** Longer than all clock changes together, so that no id expires in a run. */
const WINDOW_SECONDS = 12 * HOUR_SECONDS
const TOLERANCE_SECONDS = 2 * HOUR_SECONDS
/** Of the service: how far a timestamp may be in the future. */
const FUTURE_TOLERANCE_SECONDS = 300
const PARTITIONS = 2
/** A refused sender retries within 400 ms. */
const REFUSALS_MS = 20_000

/** Seconds that a clock is set ahead of the true time: from, to. Values near a tolerance are not used. */
const steps = [
  ['minutes ahead', 60, 3000],
  ['minutes behind', -270, -30],
  ['an hour ahead', HOUR_SECONDS, 1.9 * HOUR_SECONDS],
  // More than half a window: a new generation is opened.
  ['hours ahead', 6.1 * HOUR_SECONDS, 8 * HOUR_SECONDS],
  ['hours behind', -3 * HOUR_SECONDS, -400],
  ['right again', 0, 0]
] as const

type Whose = 'service' | 'redis'

/** One Redis and one replica. The clock of one or both is changed under load. */
async function clockSteps(setting: Setting, whose: readonly Whose[]): Promise<Outcome> {
  const { random, main } = setting
  const rounds = (setting.full ? 8 : 1) * steps.length

  const clock = createClock()
  const clockEnv = (one: Whose): Readonly<Record<string, string>> => (whose.includes(one) ? clock.env : {})
  const store = await startStore('always', { env: clockEnv('redis') })
  const replica = await createReplica(
    {
      REDIS_URL: `redis://127.0.0.1:${store.port}`,
      DURABILITY: 'fsync',
      // Listed like Customer.io: its failed attempts are not limited.
      CIO_ALLOWED_IPS: '127.0.0.1',
      PARTITIONS: String(PARTITIONS),
      DEDUPE_WINDOW_SECONDS: String(WINDOW_SECONDS),
      CIO_SIGNATURE_TOLERANCE_SECONDS: String(TOLERANCE_SECONDS),
      ...clockEnv('service')
    },
    main
  )
  const results: Freshness[] = []
  let generationsOpened = 0
  try {
    await replica.start()
    await replica.ready()
    const target = alone(replica, PARTITIONS, () => connectTo(store.port))
    // Any earlier event of the run may be sent again.
    const replays = { replayShare: 0.3, replayDepth: 100_000 }
    const observed = await runUnderLoad(target, { random, ...replays }, async load => {
      for (let n = 0; n < rounds; n++) {
        const [name, from, to] = steps[n % steps.length] ?? steps[0]
        const aheadSeconds = Math.round(random.between(from, to))
        await load.acknowledged(30)
        const before = load.ledger.answers.get('401') ?? 0
        clock.set(aheadSeconds)
        load.fault(`${whose.join(' and ')}: ${name}`)
        // The service does this every minute: opens and removes generations by the current clock.
        await sweep(store.client())
        const isFresh = aheadSeconds >= -FUTURE_TOLERANCE_SECONDS && aheadSeconds <= TOLERANCE_SECONDS
        if (isFresh || !whose.includes('service')) results.push(await accepted(load, aheadSeconds, before))
        else {
          results.push(await refused(load, aheadSeconds))
          clock.set(0)
        }
      }
      clock.set(0)
      generationsOpened = await newestGeneration(store.client())
    })
    const wrong = results.filter(({ asDocumented }) => !asDocumented)
    const extra: Check[] = [
      {
        name: FRESHNESS,
        passed: results.length === rounds && wrong.length === 0,
        detail: wrong
      }
    ]
    if (whose.includes('redis')) {
      extra.push({
        name: 'the changed clock opened generations',
        passed: generationsOpened > 1,
        detail: { generationsOpened }
      })
    }
    const seen = whose.includes('service') ? ['401'] : []
    const retried = whose.includes('service') ? rounds : 0
    return {
      observed,
      extra,
      measured: { replays: observed.ledger.replays, generationsOpened },
      demands: { acknowledged: rounds * 30, faults: rounds, retried, alsoSeen: seen }
    }
  } finally {
    await replica.kill()
    await store.kill()
    clock.remove()
  }
}

interface Freshness {
  readonly aheadSeconds: number
  readonly asDocumented: boolean
  readonly accepted: number
  readonly refused: number
}

/** @param before number of refusals when the clock was set */
async function accepted({ ledger, acknowledged }: Load, aheadSeconds: number, before: number) {
  await acknowledged(60)
  const refused = (ledger.answers.get('401') ?? 0) - before
  return { aheadSeconds, asDocumented: refused === 0, accepted: 60, refused }
}

async function refused({ ledger }: Load, aheadSeconds: number): Promise<Freshness> {
  const refusals = async (more: number): Promise<void> => {
    const wanted = (ledger.answers.get('401') ?? 0) + more
    await until('refusals', async () => (ledger.answers.get('401') ?? 0) >= wanted, REFUSALS_MS)
  }
  // By then every sender has been refused, and deliveries sent before the change are answered.
  await refusals(30)
  const before = ledger.answers.get('200') ?? 0
  await refusals(30)
  const accepted = (ledger.answers.get('200') ?? 0) - before
  return { aheadSeconds, asDocumented: accepted === 0, accepted, refused: 60 }
}

async function sweep(client: ReturnType<typeof connectTo>): Promise<void> {
  for (let partition = 0; partition < PARTITIONS; partition++) {
    await rotateAndExpire(client, partitionKeys('cio:', partition), WINDOW_SECONDS * 1000)
  }
}

async function newestGeneration(client: ReturnType<typeof connectTo>): Promise<number> {
  const list = await client.get(partitionKeys('cio:', 0).generations)
  return Number(list?.split(':')[0] ?? 0)
}

export const clocks: readonly Scenario[] = [
  {
    name: 'clock-of-service',
    about: 'the clock of the service is changed by minutes and hours',
    run: setting => clockSteps(setting, ['service'])
  },
  {
    name: 'clock-of-redis',
    about: 'the clock of Redis is changed by minutes and hours while ids are sent again, window 12 h',
    run: setting => clockSteps(setting, ['redis'])
  },
  {
    name: 'clock-of-both',
    about: 'the clock of a machine with the service and Redis is changed by minutes and hours',
    run: setting => clockSteps(setting, ['service', 'redis'])
  }
]
