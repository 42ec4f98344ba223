import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { createConsumer } from '../../src/consume/consumer.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import {
  type FaultyRedis,
  startFaultyCluster,
  startFaultySentinel,
  startFaultyStandalone
} from '../helpers/faulty-redis.ts'
import { type Random, seededRandom } from '../helpers/random.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { WEBHOOK_PATH } from '../helpers/sign.ts'

/*
 * Random faults in random order; after each of several rounds everything must work again. A failure prints the seed:
 * RECOVERY_SEED=<seed> repeats its choices.
 */
const SEED = Number(process.env['RECOVERY_SEED'] ?? Date.now() % 1_000_000)
/** New rounds begin until then, per topology. */
const ROUNDS_MS = 20_000
/** Within this time after the end of all faults, everything works again. */
const RECOVERY_MS = 15_000
/** The limit of `serve` is 4.5 s; the rest is for a busy machine. */
const CLOSE_MS = 5500
/** A connection pool may hold a few connections more or less than before. */
const SPARE_DESCRIPTORS = 10

t.setTimeout(600_000)

const openDescriptors = (): number => readdirSync('/proc/self/fd').length

const TIME_WAIT = '06'

/** Open sockets of connections to these ports: both ends are in this process. Their number follows the load. */
function socketsOf(ports: readonly number[]): number {
  const names = ports.map(port => port.toString(16).toUpperCase().padStart(4, '0'))
  const lines = readFileSync('/proc/self/net/tcp', 'utf8').trim().split('\n').slice(1)
  return lines.filter(line => {
    const [, local, remote, state] = line.trim().split(/\s+/)
    return (
      state !== TIME_WAIT && names.some(name => local?.endsWith(`:${name}`) || remote?.endsWith(`:${name}`))
    )
  }).length
}

const topologies: Readonly<Record<string, (random: Random) => Promise<FaultyRedis>>> = {
  standalone: startFaultyStandalone,
  sentinel: startFaultySentinel,
  cluster: startFaultyCluster
}

for (const [topology, start] of Object.entries(topologies)) {
  t.test(`${topology}: after random faults, deliveries and consumers work again within 15 s`, async t => {
    const random = seededRandom(SEED, topology)
    const history: string[] = [`RECOVERY_SEED=${SEED}`]
    const redis = await start(random)
    t.teardown(redis.stop)
    const [handled, pushed, failed] = [new Set<string>(), new Set<string>(), new Set<string>()]
    const receiver = await startReceiver(
      ({ headers }, response) => {
        const id = headers['webhook-id'] ?? ''
        // The first attempt of each event fails, so that each is retried.
        if (failed.has(id)) pushed.add(id)
        failed.add(id)
        response.writeHead(pushed.has(id) ? 204 : 503).end()
      },
      0,
      { keeps: false }
    )
    t.teardown(receiver.stop)
    const env = {
      ...redis.env,
      LOG_LEVEL: 'warn',
      DURABILITY: topology === 'sentinel' ? 'replicated:1' : 'server',
      CONSUMERS_FILE: consumersFile(
        httpConsumer('crm', receiver.url, { retryDelayMs: 50, maxRetryDelayMs: 200, maxAttempts: 100 })
      )
    }
    const before = openDescriptors()
    const service = await startTestService(env)
    const consumer = createConsumer(
      { ...redis.connection, group: 'app', leaseMs: 2000, onError: () => {} },
      async event => void handled.add(event.id)
    )
    await consumer.start()
    let events = 0
    const deliver = async (): Promise<string> => {
      const id = `${topology}-${++events}`
      const body = {
        event_id: id,
        object_type: 'email',
        metric: 'sent',
        data: { customer_id: `c${events % 20}` }
      }
      await until(
        `200 for ${id}`,
        async () => (await service.post(JSON.stringify(body), undefined, WEBHOOK_PATH)).status === 200,
        RECOVERY_MS
      )
      return id
    }
    const works = async (): Promise<void> => {
      await until('readiness', async () => (await fetch(`${service.url}/readyz`)).ok, RECOVERY_MS)
      const ids = await Promise.all(Array.from({ length: 20 }, deliver))
      for (const [name, seen] of Object.entries({ handled, pushed })) {
        await until(`all events ${name}`, async () => ids.every(id => seen.has(id)), RECOVERY_MS)
      }
    }
    await works()
    const httpPorts = [Number(new URL(service.url).port), receiver.port]
    const descriptors = (): number => openDescriptors() - socketsOf(httpPorts)
    const usual = descriptors()

    const deadlineMs = performance.now() + ROUNDS_MS
    for (let round = 1; performance.now() < deadlineMs; round++) {
      history.push(`round ${round}:`, ...(await disturb()))
      const healing = performance.now()
      await redis.heal()
      const healed = performance.now()
      try {
        await works()
        await until('usual descriptors', async () => descriptors() <= usual + SPARE_DESCRIPTORS, RECOVERY_MS)
        const tookMs = performance.now() - healed
        history.push(`healed in ${Math.round(healed - healing)} ms, works after ${Math.round(tookMs)} ms`)
        if (tookMs > RECOVERY_MS) throw new Error(`recovery took ${tookMs} ms`)
      } catch (error) {
        t.fail(`${error}`, {
          history,
          descriptors: [usual, descriptors()],
          log: service.logLines().slice(-20)
        })
        break
      }
    }

    history.push('at the end:', ...(await disturb()))
    const closing = performance.now()
    const closed = await Promise.race([service.close().then(() => true), sleep(CLOSE_MS)])
    t.ok(closed, 'the service ends in time, also during a fault', { history })
    history.push(`closed in ${Math.round(performance.now() - closing)} ms`)
    await Promise.race([consumer.stop(), sleep(RECOVERY_MS)])
    await redis.heal()
    await until('all connections are closed', async () => openDescriptors() <= before + 2, RECOVERY_MS).catch(
      error => t.fail(`${error}`, { history, descriptors: [before, openDescriptors()] })
    )
    t.comment(history.join('\n'))

    /** Deliveries go on meanwhile. @returns what was done */
    async function disturb(): Promise<readonly string[]> {
      const done: string[] = []
      const sending = setInterval(
        () => void service.post(`{"event_id":"lost-${++events}"}`).catch(() => {}),
        100
      )
      for (let n = random.whole(1, 4); n > 0; n--) {
        const name = random.pick(Object.keys(redis.faults))
        const lastsMs = random.whole(0, 2500)
        await until(`the fault ${name}`, async () => redis.faults[name]?.().then(() => true))
        await sleep(lastsMs)
        done.push(`${name}, ${lastsMs} ms`)
      }
      clearInterval(sending)
      return done
    }
  })
}
