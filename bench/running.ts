import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'

import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRedis, type TestRedis } from '../test/helpers/redis.ts'
import { freePort, isListening, type RunningServer, startServer } from '../test/helpers/server.ts'
import type { Contestant } from './contestants.ts'
import { type Load, type LoadReport, runLoad } from './load.ts'
import { machineCpuSeconds, usageOf } from './process-usage.ts'
import { type SentRun, verifyLog } from './verify-log.ts'

/** One load, and the CPU time and memory that the contestant and its Redis used for it. */
export interface Measurement {
  readonly load: Load
  readonly report: LoadReport
  /** Microseconds of CPU per delivery, all threads and child processes. */
  readonly serviceCpuUs: number
  readonly redisCpuUs: number
  readonly serviceRssMb: number
  readonly redisRssMb: number
  /** CPUs that other processes used meanwhile: how noisy the machine was. */
  readonly foreignCpus: number
}

/** A running contestant with a Redis of its own. */
export interface Running {
  readonly redis: TestRedis
  /** @throws if a delivery was answered otherwise than this contestant should */
  measure(load: Load): Promise<Measurement>
  /** @throws if the log does not hold exactly the events sent since the start */
  verify(): Promise<void>
  stop(): Promise<void>
}

/** @param prepare called with the Redis before the contestant starts */
export async function startRunning(
  contestant: Contestant,
  prepare: (redis: TestRedis) => Promise<void> = async () => {}
): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  const redis = await startRedis(contestant.redis)
  const secret = randomBytes(32).toString('hex')
  const port = await freePort()
  const server = await start().catch(async error => {
    await leave()
    throw error
  })
  const takeStock = () => ({
    service: usageOf(server.process.pid ?? 0),
    redis: usageOf(redis.process.pid ?? 0),
    machine: machineCpuSeconds()
  })
  const runs: SentRun[] = []

  return {
    redis,
    measure,
    verify: () => verifyLog(contestant, redis.client, runs),
    stop: async () => {
      await server.stop()
      await leave()
    }
  }

  async function start(): Promise<RunningServer> {
    await prepare(redis)
    const command = contestant.start({ port, redisPort: redis.port, folder, secret })
    return startServer({ ...command, folder, ready: () => isListening(port) })
  }

  async function leave(): Promise<void> {
    await redis.stop('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }

  async function measure(load: Load): Promise<Measurement> {
    const before = takeStock()
    const report = await send(load)
    const after = takeStock()
    const answers = report.unique + report.repeated
    const serviceSeconds = after.service.cpuSeconds - before.service.cpuSeconds
    const redisSeconds = after.redis.cpuSeconds - before.redis.cpuSeconds
    const ours = serviceSeconds + redisSeconds + report.cpuSeconds
    return {
      load,
      report,
      serviceCpuUs: (serviceSeconds / answers) * 1e6,
      redisCpuUs: (redisSeconds / answers) * 1e6,
      serviceRssMb: after.service.rssBytes / 1e6,
      redisRssMb: after.redis.rssBytes / 1e6,
      foreignCpus: Math.max(0, after.machine - before.machine - ours) / report.seconds
    }
  }

  async function send(load: Load): Promise<LoadReport> {
    const run = runs.length.toString(36).padStart(2, '0')
    const report = await runLoad(load, port, secret, run)
    runs.push({ run, unique: report.unique })
    const expected = { accepted: report.unique, duplicate: 0, otherOk: 0 }
    expected[contestant.repeatsAre] += report.repeated
    const { accepted, duplicate, otherOk, refused } = report
    if (accepted !== expected.accepted || duplicate !== expected.duplicate || otherOk !== expected.otherOk) {
      const answers = JSON.stringify({ accepted, duplicate, otherOk, refused })
      throw new Error(
        `${contestant.name}: answers ${answers}, expected ${JSON.stringify(expected)}\n${server.output()}`
      )
    }
    return report
  }
}

/** Is this service ready? The peers have no such endpoint. */
export const isReady = (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/readyz`).then(
    ({ ok }) => ok,
    () => false
  )
