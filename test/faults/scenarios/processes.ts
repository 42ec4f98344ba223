import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { PRIVATE_SOCKET } from '../../../src/settings/redis-address.ts'
import { temporaryFolder, until } from '../../helpers/server.ts'
import { createReplica, type Replica } from '../replica.ts'
import { alone, connectTo, LOOKING, runUnderLoad } from '../run-under-load.ts'
import type { Outcome, Scenario, Setting } from '../scenario.ts'
import { startStore } from '../store.ts'

const ready = (replica: Replica) => until('readiness', () => replica.isReady(), 60_000)

/** `npm start` as it comes: the service brings a Redis of its own, which has to go and come with it. */
async function privateRedis(setting: Setting): Promise<Outcome> {
  const rounds = setting.full ? 60 : 6
  const dataDir = temporaryFolder()
  const replica = await createReplica({ DATA_DIR: dataDir, PARTITIONS: '2' }, setting.main)
  const connect = (): Redis => {
    const client = new Redis({ path: join(dataDir, PRIVATE_SOCKET), ...LOOKING })
    client.on('error', () => {})
    return client
  }
  try {
    await replica.start()
    await ready(replica)
    const target = alone(replica, 2, connect)
    const observed = await runUnderLoad(target, { random: setting.random }, async load => {
      for (let n = 0; n < rounds; n++) {
        await load.acknowledged(20)
        await sleep(setting.random.between(0, 120))
        load.fault('SIGKILL of the service with a Redis of its own')
        const slowly = await slowEnding(connect, endings[n % endings.length] ?? 'at once')
        await replica.kill()
        // At once, as whoever looks after a process does it: the old Redis is still on its way out.
        await Promise.all([
          replica.start(),
          sleep(setting.random.between(800, 2500)).then(() => slowly.resume())
        ])
        await ready(replica)
      }
    })
    return {
      observed,
      demands: {
        acknowledged: rounds * 20,
        faults: rounds,
        retried: rounds,
        alsoSeen: ['refused', 'broken']
      }
    }
  } finally {
    await replica.kill()
  }
}

/** When the Redis of a service that was killed ends; or it, or whoever is to end it, is held up. */
const endings = ['at once', 'Redis is slow', 'nobody tells it yet'] as const

async function slowEnding(
  connect: () => Redis,
  ending: (typeof endings)[number]
): Promise<{ resume(): void }> {
  if (ending === 'at once') return { resume: () => {} }
  const client = connect()
  const redis = Number(/process_id:(\d+)/.exec(await client.info('server'))?.[1])
  client.disconnect()
  const pid = ending === 'Redis is slow' ? redis : parentOf(redis)
  process.kill(pid, 'SIGSTOP')
  return { resume: () => void process.kill(pid, 'SIGCONT') }
}

const parentOf = (pid: number): number =>
  Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

/** One of two workers dies; the primary starts another, and the other one goes on. */
async function workerKilled(setting: Setting): Promise<Outcome> {
  const rounds = setting.full ? 60 : 6
  const store = await startStore('always')
  const replica = await createReplica(
    {
      REDIS_URL: `redis://127.0.0.1:${store.port}`,
      DURABILITY: 'fsync',
      PARTITIONS: '2',
      WORKERS: '2'
    },
    setting.main
  )
  try {
    await replica.start()
    // One worker answers before the other is there, and killed then it would leave nobody.
    await ready(replica)
    await until(
      'both workers',
      async () => childrenOf(replica.pid()).filter(listensOn(replica.port)).length === 2
    )
    const target = alone(replica, 2, () => connectTo(store.port))
    let restarted = 0
    const observed = await runUnderLoad(target, { random: setting.random, senders: 8 }, async load => {
      for (let n = 0; n < rounds; n++) {
        await load.acknowledged(40)
        await sleep(setting.random.between(0, 120))
        const victim = await busiest(childrenOf(replica.pid()))
        load.fault('SIGKILL of one of two workers')
        // Held first, so that deliveries are under way when it dies.
        process.kill(victim, 'SIGSTOP')
        await sleep(setting.random.between(20, 60))
        process.kill(victim, 'SIGKILL')
        // While there is one worker only, and then with the new one.
        await load.acknowledged(20)
        restarted++
        await until('another worker', async () => timesSaid(replica, REPLACED) === restarted)
      }
    })
    return {
      observed,
      extra: [
        {
          name: 'the primary has started another worker each time',
          passed: restarted === rounds,
          detail: { restarted, rounds }
        }
      ],
      demands: { acknowledged: rounds * 60, faults: rounds, retried: rounds, alsoSeen: ['broken'] }
    }
  } finally {
    await replica.kill()
    await store.kill()
  }
}

const REPLACED = 'replacement worker is ready'
const timesSaid = (replica: Replica, text: string): number => replica.output().split(text).length - 1

const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)

/** Has a process the socket that listens on this port (proc(5): net/tcp, state 0A)? */
function listensOn(port: number): (pid: number) => boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return pid => {
    const rows = readFileSync(`/proc/${pid}/net/tcp`, 'utf8')
      .split('\n')
      .map(row => row.trim().split(/\s+/))
    const inode = rows.find(([, address, , state]) => address?.endsWith(local) && state === '0A')?.[9]
    const folder = `/proc/${pid}/fd`
    try {
      return readdirSync(folder).some(fd => readlinkSync(join(folder, fd)) === `socket:[${inode}]`)
    } catch {
      return false // one was closed meanwhile: it is asked again
    }
  }
}

/** The system may give all connections to one of the workers: to kill the other one would show nothing. */
async function busiest(pids: readonly number[]): Promise<number> {
  const before = pids.map(cpuTicks)
  await sleep(BUSY_LOOK_MS)
  const used = pids.map((pid, index) => ({ pid, ticks: cpuTicks(pid) - (before[index] ?? 0) }))
  const [first] = used.toSorted((a, b) => b.ticks - a.ticks)
  if (first === undefined) throw new Error('there is no worker')
  return first.pid
}

/** Some ticks of 10 ms at the rate of these senders. */
const BUSY_LOOK_MS = 250

/** User and system time of a process (proc(5), stat, fields 14 and 15). */
function cpuTicks(pid: number): number {
  const [, , , , , , , , , , , user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return Number(user) + Number(system)
}

export const processes: readonly Scenario[] = [
  {
    name: 'private-redis',
    about: 'SIGKILL of a service that brings its own Redis (npm start), and started again at once',
    run: privateRedis
  },
  {
    name: 'worker-killed',
    about: 'SIGKILL of one of two workers (WORKERS=2), DURABILITY=fsync',
    run: workerKilled
  }
]
