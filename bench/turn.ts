import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startRedis } from '../test/helpers/redis.ts'
import { freePort, startServer } from '../test/helpers/server.ts'
import type { Contestant } from './contestants.ts'
import { judge, type SentRun } from './judge.ts'
import { type Load, type LoadReport, runLoad } from './load.ts'
import { usageOf } from './process-usage.ts'

/** One load, and what the contestant and its Redis used for it. */
export interface Measurement {
  readonly load: Load
  readonly report: LoadReport
  /** Microseconds of CPU a delivery, all threads and children. */
  readonly serviceCpuUs: number
  readonly redisCpuUs: number
  readonly serviceRssMb: number
  readonly redisRssMb: number
}

/**
 * One contestant's turn: a fresh process and a fresh Redis, a warm-up, the loads, and the judge over all of it.
 *
 * @throws when a delivery was refused, or the log does not hold exactly what was sent
 */
export async function takeTurn(
  contestant: Contestant,
  warmUp: Load,
  loads: readonly Load[]
): Promise<Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  const redis = await startRedis(contestant.redis)
  const secret = randomBytes(32).toString('hex')
  const port = await freePort()
  const command = contestant.start({ port, redisPort: redis.port, folder, secret })
  const server = await startServer({
    ...command,
    folder: command.folder ?? folder,
    ready: () => listens(port)
  })
  const pid = server.process.pid ?? 0
  const redisPid = redis.process.pid ?? 0
  const runs: SentRun[] = []
  try {
    await send(warmUp)
    const measurements: Measurement[] = []
    for (const load of loads) measurements.push(await measure(load))
    await judge(contestant, redis.client, runs)
    return measurements
  } finally {
    await server.stop()
    await redis.stop('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  }

  async function measure(load: Load): Promise<Measurement> {
    const before = [usageOf(pid), usageOf(redisPid)] as const
    const report = await send(load)
    const after = [usageOf(pid), usageOf(redisPid)] as const
    const answers = report.unique + report.repeated
    return {
      load,
      report,
      serviceCpuUs: ((after[0].cpuSeconds - before[0].cpuSeconds) / answers) * 1e6,
      redisCpuUs: ((after[1].cpuSeconds - before[1].cpuSeconds) / answers) * 1e6,
      serviceRssMb: after[0].rssBytes / 1e6,
      redisRssMb: after[1].rssBytes / 1e6
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

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
