// npm run bench:profile: CPU time per delivery, by the purpose of the code.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startRedis } from '../test/helpers/redis.ts'
import { freePort, startServer } from '../test/helpers/server.ts'
import { serviceCommand } from './contestants.ts'
import { runLoad } from './load.ts'
import { machineLine } from './machine.ts'
import { usageOf } from './process-usage.ts'
import { isReady } from './running.ts'

const { values } = parseArgs({ options: { policy: { type: 'string', default: 'customerio' } } })
const CONNECTIONS = 64
const WARM_UP = { connections: CONNECTIONS, count: 40_000 }
const LOAD = { connections: CONNECTIONS, count: 60_000 }
const SAMPLE_US = 250

/** The file that --cpu-prof writes; times are microseconds of the machine's monotonic clock. */
interface CpuProfile {
  readonly startTime: number
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
    readonly children?: readonly number[]
  }[]
}

/** A sample belongs to the first layer that matches one of its frames, from the innermost frame outwards. */
const layers: readonly (readonly [title: string, isFor: (name: string, url: string) => boolean])[] = [
  ['garbage collection', name => name === '(garbage collector)'],
  ['reading JSON', (name, url) => name === 'readPayload' || url.includes('/secure-json-parse/')],
  ['signature', (_, url) => /dist\/receive\/(signature|hmac)\./.test(url)],
  ['removing personal data', (_, url) => url.includes('dist/sanitize/')],
  [
    'digest, envelope, writing JSON',
    (_, url) => /dist\/(receive\/(event|cloud|json|log-entry)|event-types)/.test(url)
  ],
  ['the call to Redis', (_, url) => /dist\/(log|redis)\/|\/ioredis\//.test(url)],
  ['metrics, key usage', (_, url) => /dist\/(ops\/|receive\/(record|key-))|\/prom-client\//.test(url)],
  ['HTTP: Node and Fastify', (_, url) => /\/(dist\/http|node_modules\/(@?fastify|find-my-way))\//.test(url)],
  ['the route itself', (_, url) => url.includes('/dist/')]
]
/** For samples without a frame of this service: the event loop, sockets, the HTTP parser. */
const OUTSIDE = 'HTTP: Node and Fastify'

const folder = mkdtempSync(join(tmpdir(), 'bench-'))
const redis = await startRedis()
try {
  await profile()
} finally {
  await redis.stop('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
}

async function profile(): Promise<void> {
  const [port, secret] = [await freePort(), randomBytes(32).toString('hex')]
  const profiled = ['--cpu-prof', `--cpu-prof-dir=${folder}`, `--cpu-prof-interval=${SAMPLE_US}`]
  const service = serviceCommand({ port, secret }, { REDIS_URL: redis.url, PII_POLICY: values.policy })
  const server = await startServer({
    ...service,
    env: { ...service.env, NODE_OPTIONS: profiled.join(' ') },
    ready: () => isReady(port)
  })
  await runLoad(WARM_UP, port, secret, '00')
  const cpuSeconds = (): number => usageOf(server.process.pid ?? 0).cpuSeconds
  const [fromUs, before] = [monotonicUs(), cpuSeconds()]
  await runLoad(LOAD, port, secret, '01')
  const [toUs, after] = [monotonicUs(), cpuSeconds()]
  await server.stop('SIGTERM')

  const [file = ''] = readdirSync(folder).filter(name => name.endsWith('.cpuprofile'))
  const shares = sharesOf(JSON.parse(readFileSync(join(folder, file), 'utf8')), fromUs, toUs)
  const costUs = ((after - before) / LOAD.count) * 1e6
  say(machineLine())
  say(`policy ${values.policy}: ${costUs.toFixed(0)} µs of CPU per delivery, including the profiler's own`)
  for (const [title, share] of [...shares].sort(([, a], [, b]) => b - a)) {
    say(`${(share * 100).toFixed(1).padStart(6)} %  ${(share * costUs).toFixed(0).padStart(4)} µs  ${title}`)
  }
}

/** The share of each layer in the time that was not idle, from `fromUs` to `toUs`. */
function sharesOf(profile: CpuProfile, fromUs: number, toUs: number): Map<string, number> {
  const nodes = new Map(profile.nodes.map(node => [node.id, node]))
  const parents = new Map(
    profile.nodes.flatMap(({ id, children = [] }) => children.map(child => [child, id]))
  )
  const spent = new Map<string, number>()
  let at = profile.startTime
  for (const [index, id] of profile.samples.entries()) {
    const us = profile.timeDeltas[index] ?? 0
    at += us
    if (at < fromUs || at > toUs || nodes.get(id)?.callFrame.functionName === '(idle)') continue
    const layer = layerOf(id)
    spent.set(layer, (spent.get(layer) ?? 0) + us)
  }
  const all = [...spent.values()].reduce((sum, us) => sum + us, 0)
  return new Map([...spent].map(([layer, us]) => [layer, us / all]))

  function layerOf(id: number): string {
    for (let frame: number | undefined = id; frame !== undefined; frame = parents.get(frame)) {
      const { functionName = '', url = '' } = nodes.get(frame)?.callFrame ?? {}
      const layer = layers.find(([, isFor]) => isFor(functionName, url))
      if (layer !== undefined) return layer[0]
    }
    return OUTSIDE
  }
}

function monotonicUs(): number {
  return Number(process.hrtime.bigint() / 1000n)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
