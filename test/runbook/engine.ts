import { appendFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { currentStatus } from '../../src/cli/status/command.ts'
import type { Problem } from '../../src/tools/status/facts.ts'
import { samplesOf } from '../helpers/alerts.ts'
import { until } from '../helpers/server.ts'
import { run } from '../helpers/walkthrough.ts'
import type { Acts, Fault } from './fault.ts'
import { readSection } from './section.ts'
import { createWorld, type World } from './world.ts'

/** Seconds from the beginning of a fault until each channel shows it, and from the repair until none does. */
export interface Measured {
  readonly fault: string
  readonly log: number | undefined
  readonly metric: number | undefined
  readonly status: number | undefined
  readonly over: number
}

const LIMIT_SECONDS = 60
const COMMAND_MS = 60_000
const DELIVERY_INTERVAL_MS = 250
const HOUR_SECONDS = 3600

/** Causes the fault, waits until every channel shows it, runs the commands of its section, and waits until it is over. */
export async function testFault(t: Test, fault: Fault): Promise<void> {
  const { checks, repairs } = readSection(fault.section)
  const world = createWorld(t)
  const acts = await fault.prepare(world)
  t.notOk(await isShown(fault, world, 0), 'no channel shows the fault before it begins')

  const before = await metricOf(fault, world)
  const sender = startSender(acts, world)
  t.teardown(sender.stop)
  await acts.begin()
  const startedMs = performance.now()
  const limitMs = (fault.limitSeconds ?? LIMIT_SECONDS) * 1000
  const [log, metric, status] = await Promise.all([
    secondsUntil('the log names it', async () => logShows(fault, world)),
    secondsUntil('the metrics show it', async () => metricShows(fault, await metricOf(fault, world), before)),
    secondsUntil('the status names it', () => statusShows(t, fault, world))
  ])
  const printed = await runAll(t, ['cio-webhook status', ...checks], world, [0, 1, 2])
  if ('id' in fault.status) t.match(printed, fault.status.id, 'cio-webhook status prints the code')
  if (fault.commandsPrint !== undefined) t.match(printed, fault.commandsPrint, 'the commands name it')

  await sender.stop()
  await acts.repair()
  const repairedMs = performance.now()
  await runAll(t, repairs, world, [0, 1])
  await until('deliveries are accepted', async () => (await world.post().catch(() => 0)) === 200)
  const offset = world.log().length
  const later = 'lastHour' in fault.status ? HOUR_SECONDS + 100 : 0
  await until('no channel shows it', async () => !(await isShown(fault, world, later)), LIMIT_SECONDS * 1000)
  if ('over' in fault.log && fault.log.over !== undefined) {
    const { over } = fault.log
    await until('the log says that it is over', async () => over.test(world.log()))
  }
  if ('names' in fault.log) t.notMatch(world.log().slice(offset), fault.log.names, 'no further log line')
  await acts.finally?.()
  const over = (performance.now() - repairedMs) / 1000
  record({ fault: fault.name, log, metric, status, over })

  async function secondsUntil(
    what: string,
    isTrue: () => Promise<boolean | undefined>
  ): Promise<number | undefined> {
    const shown = await until(
      `${fault.name}: ${what}`,
      async () => {
        const shown = await isTrue()
        return shown === undefined ? { seconds: undefined } : shown && { seconds: seconds() }
      },
      limitMs
    ).catch(error => {
      const lines = world.log().split('\n')
      throw new Error(`${String(error)}\n${lines.filter(line => !line.includes('"accepted"')).join('\n')}`)
    })
    return shown.seconds
  }

  function seconds(): number {
    return (performance.now() - startedMs) / 1000
  }
}

/** Delivers all the time, as Customer.io does. */
function startSender(acts: Acts, world: World): { stop(): Promise<void> } {
  let stopped = false
  const sending = (async () => {
    while (!stopped) {
      await Promise.allSettled([(acts.deliver ?? world.post)()])
      await sleep(DELIVERY_INTERVAL_MS)
    }
  })()
  return {
    stop: async () => {
      stopped = true
      await sending
    }
  }
}

/** The commands of the page, with the names of this installation. @returns what they printed */
async function runAll(
  t: Test,
  commands: readonly string[],
  world: World,
  allowed: readonly number[]
): Promise<string> {
  let all = ''
  for (const command of commands) {
    const redisUrl = world.env()['REDIS_URL'] ?? ''
    const actual = command
      .replaceAll('https://hooks.example.com', world.url())
      .replaceAll('http://localhost:3000', world.url())
      .replaceAll('localhost:3000', world.url())
      .replaceAll('redis-cli ', `timeout 5 redis-cli --no-auth-warning -u ${redisUrl} `)
      // The port is in use by the service.
      .replaceAll('cio-webhook serve --check', 'PORT=0 cio-webhook serve --check')
    const { code, printed } = await run(actual, { env: world.env(), folder: world.folder }, COMMAND_MS)
    t.ok(code !== null && allowed.includes(code), `${command}: exit code ${code}\n${printed}`)
    all += printed
  }
  return all
}

/** @returns `undefined` if the channel does not show this fault by design */
function logShows({ log }: Fault, world: World): boolean | undefined {
  return 'names' in log ? log.names.test(world.log()) : undefined
}

function metricShows({ metric }: Fault, now: number, before: number): boolean | undefined {
  return 'series' in metric ? metric.shows(now, before) : undefined
}

async function statusShows(t: Test, fault: Fault, world: World): Promise<boolean | undefined> {
  const { status } = fault
  const problems = await problemsOf(world)
  if (!('id' in status)) {
    const others = problems.filter(problem => problem.id !== 'unavailable')
    t.same(others, [], 'the status shows no problem')
    return undefined
  }
  const { id, says = /^/, also = [] } = status
  if (!problems.some(problem => problem.id === id && says.test(JSON.stringify(problem)))) return false
  const follow = ['unavailable', id, ...also]
  t.same(
    problems.filter(problem => !follow.includes(problem.id)),
    [],
    'the status names nothing else'
  )
  return true
}

/** @param laterSeconds how far the clock of `cio-webhook status` is ahead */
async function isShown(fault: Fault, world: World, laterSeconds: number): Promise<boolean> {
  const { status, metric } = fault
  const problems = 'id' in status ? await problemsOf(world, laterSeconds) : []
  if ('id' in status && problems.some(({ id }) => id === status.id)) return true
  if (!('series' in metric)) return false
  const before = await metricOf(fault, world)
  await world.post().catch(() => {})
  return metric.shows(await metricOf(fault, world), before)
}

async function problemsOf(world: World, laterSeconds = 0): Promise<readonly Problem[]> {
  // What the command does. A process for each look would take most of the time of this test.
  const { problems } = await currentStatus(world.env(), () => world.now() + laterSeconds * 1000)
  return problems
}

/** The sum of the series; 0 without one. NaN, which shows nothing, if the service does not answer. */
async function metricOf({ metric }: Fault, world: World): Promise<number> {
  if (!('series' in metric)) return 0
  const scrape = await fetch(`${world.url()}/metrics`).then(
    response => response.text(),
    () => undefined
  )
  if (scrape === undefined) return Number.NaN
  const values = [...samplesOf(scrape)].filter(([series]) => metric.series.test(series))
  return values.reduce((sum, [, value]) => sum + Number(value), 0)
}

/** `npm run docs:runbook` writes the table from these. */
function record(measured: Measured): void {
  const file = process.env['RUNBOOK_MEASURED']
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(measured)}\n`)
}
