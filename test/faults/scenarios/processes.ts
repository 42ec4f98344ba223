import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { PRIVATE_SOCKET } from '../../../src/settings/redis-address.ts'
import { temporaryFolder, until } from '../../helpers/server.ts'
import { createReplica, type Replica } from '../replica.ts'
import { alone, CLIENT_OPTIONS, connectTo, runUnderLoad } from '../run-under-load.ts'
import type { Outcome, Scenario, Setting } from '../scenario.ts'
import { startStore } from '../store.ts'

/** `npm start` without a Redis: the service starts a private one, which must end and start together with it. */
async function privateRedis(setting: Setting): Promise<Outcome> {
  const rounds = setting.full ? 60 : 6
  const dataDir = temporaryFolder()
  const replica = await createReplica({ DATA_DIR: dataDir, PARTITIONS: '2' }, setting.main)
  const connect = (): Redis => {
    const client = new Redis({ path: join(dataDir, PRIVATE_SOCKET), ...CLIENT_OPTIONS })
    client.on('error', () => {})
    return client
  }
  try {
    await replica.start()
    await replica.ready()
    const target = alone(replica, 2, connect)
    const observed = await runUnderLoad(target, { random: setting.random }, async load => {
      for (let n = 0; n < rounds; n++) {
        await load.acknowledged(20)
        await sleep(setting.random.between(0, 120))
        load.fault('SIGKILL of the service with a private Redis')
        const slowly = await slowEnding(connect, endings[n % endings.length] ?? 'at once')
        await replica.kill()
        // At once, as a process supervisor does: the old Redis is still shutting down.
        await Promise.all([
          replica.start(),
          sleep(setting.random.between(800, 2500)).then(() => slowly.resume())
        ])
        await replica.ready()
      }
    })
    return {
      observed,
      demands: {
        acknowledged: rounds * 20,
        faults: rounds,
        retried: rounds,
        alsoSeen: ['refused', 'reset']
      }
    }
  } finally {
    await replica.kill()
  }
}

/** How the private Redis ends after its service was killed: at once, or Redis or its watcher process is paused first. */
const endings = ['at once', 'Redis is paused', 'watcher is paused'] as const

async function slowEnding(
  connect: () => Redis,
  ending: (typeof endings)[number]
): Promise<{ resume(): void }> {
  if (ending === 'at once') return { resume: () => {} }
  const client = connect()
  const redis = Number(/process_id:(\d+)/.exec(await client.info('server'))?.[1])
  client.disconnect()
  const pid = ending === 'Redis is paused' ? redis : parentOf(redis)
  process.kill(pid, 'SIGSTOP')
  return { resume: () => void process.kill(pid, 'SIGCONT') }
}

const parentOf = (pid: number): number =>
  Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])

/** One of two workers is killed: the primary starts a new one, and the other one continues. */
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
    // The replica is ready with one worker. If that one were killed now, none would be left.
    await replica.ready()
    await until(
      'both workers listen',
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
        // Paused first, so that deliveries are in flight when it is killed.
        process.kill(victim, 'SIGSTOP')
        await sleep(setting.random.between(20, 60))
        process.kill(victim, 'SIGKILL')
        // With one worker, and then with the new one too.
        await load.acknowledged(20)
        restarted++
        await until('the worker is replaced', async () => timesLogged(replica, REPLACED) === restarted)
      }
    })
    return {
      observed,
      extra: [
        {
          name: 'the primary replaced every killed worker',
          passed: restarted === rounds,
          detail: { restarted, rounds }
        }
      ],
      demands: { acknowledged: rounds * 60, faults: rounds, retried: rounds, alsoSeen: ['reset'] }
    }
  } finally {
    await replica.kill()
    await store.kill()
  }
}

const REPLACED = 'replacement worker is ready'
const timesLogged = (replica: Replica, text: string): number => replica.output().split(text).length - 1

const childrenOf = (pid: number): readonly number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number)

/** Does a process own the socket that listens on this port (proc(5): net/tcp, state 0A)? */
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
      return false // a descriptor was closed meanwhile; the caller polls
    }
  }
}

/** The system may give all connections to one worker; killing the other one would test nothing. */
async function busiest(pids: readonly number[]): Promise<number> {
  const before = pids.map(cpuTicks)
  await sleep(MEASURE_MS)
  const used = pids.map((pid, index) => ({ pid, ticks: cpuTicks(pid) - (before[index] ?? 0) }))
  const [first] = used.toSorted((a, b) => b.ticks - a.ticks)
  if (first === undefined) throw new Error('no workers')
  return first.pid
}

/** Long enough for several ticks of 10 ms at the rate of these senders. */
const MEASURE_MS = 250

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
    about: 'SIGKILL of a service with a private Redis (npm start), which is started again at once',
    run: privateRedis
  },
  {
    name: 'worker-killed',
    about: 'SIGKILL of one of two workers (WORKERS=2), DURABILITY=fsync',
    run: workerKilled
  }
]
