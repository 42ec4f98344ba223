// npm run bench:cluster: compares one Redis with a Cluster of three masters.
import { randomBytes } from 'node:crypto'
import { parseArgs } from 'node:util'
import { startCluster } from '../test/helpers/cluster.ts'
import { startRedis, type TestRedis } from '../test/helpers/redis.ts'
import { freePort, startServer } from '../test/helpers/server.ts'
import { serviceCommand } from './contestants.ts'
import { type LoadReport, runLoad } from './load.ts'
import { machineLine } from './machine.ts'
import { median } from './median.ts'
import { usageOf } from './process-usage.ts'
import { isReady } from './running.ts'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' } } })
const CONNECTIONS = 64
const WARM_UP = { connections: CONNECTIONS, count: 15_000 }
const LOAD = { connections: CONNECTIONS, seconds: 6 }
/** More than there are masters: the hash tag of a partition decides which master stores it. */
const CLUSTER_PARTITIONS = 12

interface Measured {
  readonly throughput: number
  readonly serviceCpuUs: number
  /** Microseconds per delivery (of all deliveries), by node. */
  readonly redisCpuUs: readonly number[]
}

const one: Measured[] = []
const three: Measured[] = []
for (let round = 0; round < Number(values.rounds); round++) {
  const redis = await startRedis()
  const alone = { REDIS_URL: `redis://127.0.0.1:${redis.port}` }
  one.push(await measure([redis], alone).finally(() => redis.stop('SIGKILL')))

  const { nodes, stop } = await startCluster(3)
  const clustered = {
    REDIS_CLUSTER_NODES: nodes.map(({ port }) => `127.0.0.1:${port}`).join(','),
    PARTITIONS: String(CLUSTER_PARTITIONS)
  }
  three.push(await measure(nodes, clustered).finally(stop))
}
process.stdout.write(`${machineLine()}\n`)
print('one Redis, 1 partition', one)
print(`Cluster of three masters, ${CLUSTER_PARTITIONS} partitions`, three)

/** @throws if a delivery was refused, or the logs do not hold as many events as were sent */
async function measure(
  nodes: readonly TestRedis[],
  where: Readonly<Record<string, string>>
): Promise<Measured> {
  const [port, secret] = [await freePort(), randomBytes(32).toString('hex')]
  const server = await startServer({ ...serviceCommand({ port, secret }, where), ready: () => isReady(port) })
  try {
    const warm = await runLoad(WARM_UP, port, secret, '00')
    const cpuSeconds = () => [server, ...nodes].map(({ process }) => usageOf(process.pid ?? 0).cpuSeconds)
    const before = cpuSeconds()
    const report = await runLoad(LOAD, port, secret, '01')
    const [serviceCpuUs = 0, ...redisCpuUs] = cpuSeconds().map(
      (seconds, index) => ((seconds - (before[index] ?? 0)) / report.unique) * 1e6
    )
    await verifyCounts(nodes, [warm, report])
    return { throughput: report.throughput, serviceCpuUs, redisCpuUs }
  } finally {
    await server.stop()
  }
}

async function verifyCounts(nodes: readonly TestRedis[], reports: readonly LoadReport[]): Promise<void> {
  const sent = reports.reduce((sum, { unique }) => sum + unique, 0)
  const accepted = reports.reduce((sum, report) => sum + report.accepted, 0)
  const lengths = await Promise.all(
    nodes.map(async ({ client }) => {
      const streams = await client.keys('cio:events:*')
      const ofNode = await Promise.all(streams.map(stream => client.xlen(stream)))
      return ofNode.reduce((sum, length) => sum + length, 0)
    })
  )
  const kept = lengths.reduce((sum, length) => sum + length, 0)
  if (accepted !== sent || kept !== sent) throw new Error(`${sent} sent, ${accepted} accepted, ${kept} kept`)
}

function print(title: string, measured: readonly Measured[]): void {
  const throughput = Math.round(median(measured.map(each => each.throughput)))
  const service = Math.round(median(measured.map(each => each.serviceCpuUs)))
  const nodes = measured[0]?.redisCpuUs.map((_, node) =>
    median(measured.map(each => each.redisCpuUs[node] ?? 0)).toFixed(1)
  )
  process.stdout.write(
    `${title}: ${throughput} deliveries/s; CPU µs per delivery: service ${service}, Redis ${nodes?.join(' + ')}\n`
  )
}
