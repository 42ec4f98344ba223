import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Random, seededRandom } from '../../faults/random.ts'
import type { Check } from '../../faults/scenario.ts'
import { type ServiceProcess, startServiceProcess } from '../../helpers/process.ts'
import { startRedis } from '../../helpers/redis.ts'
import type { Attack } from './attack.ts'
import { makers } from './attacks.ts'
import { judgeSockets } from './checks.ts'
import { type Conversation, converse } from './converse.ts'
import { type Claim, WEBHOOK } from './requests.ts'
import { deliverSteadily, type Steady } from './steady.ts'

/** All that was seen in a run. */
export interface SocketRun {
  /** How many of each kind. */
  readonly attacks: ReadonlyMap<string, number>
  readonly statuses: ReadonlyMap<string, number>
  /** Conversations that went otherwise than they may. */
  readonly complaints: readonly string[]
  readonly claims: readonly Claim[]
  readonly steady: readonly Steady[]
  /** Resident memory and open files of the service: after the first fifth, and at the end. */
  readonly before: Usage
  readonly after: Usage
  readonly healthy: boolean
  readonly exit: number | string | null
  readonly metrics: string
  readonly output: string
}

export interface Usage {
  readonly residentMb: number
  readonly openFiles: number
}

const AT_ONCE = 8
/** A second answer, where there should be none, would come in this time. */
const SECOND_ANSWER_MS = 200
const SENDERS = 2
/** Longer than every time limit of the service: 3 s for a head, 3.4 s for an answer, 10 s for a body. */
const PATIENCE_MS = 16_000
/** How long the rest are waited for. */
const HURRY_MS = 60
/** Settles what is still under way: time limits of the service, and its collector. */
const SETTLE_MS = 12_000

/** Hostile sockets against the running service, with a real Redis, while authentic deliveries go on. */
export async function fuzzSockets(seed: number, seconds: number): Promise<readonly Check[]> {
  const redis = await startRedis()
  // Half of the addresses may deliver, half may not: what is refused is refused in different places.
  const service = await startServiceProcess({
    REDIS_URL: redis.url,
    CIO_ALLOWED_IPS: '127.0.0.0/9',
    NODE_ENV: 'production'
  })
  try {
    const run = await attack(service, seed, seconds)
    return await judgeSockets(run, redis.client)
  } finally {
    service.process.kill('SIGKILL')
    await redis.stop()
  }
}

async function attack(service: ServiceProcess, seed: number, seconds: number): Promise<SocketRun> {
  const attacks = new Map<string, number>()
  const statuses = new Map<string, number>()
  const complaints: string[] = []
  const claims: Claim[] = []
  const pid = service.process.pid ?? 0
  const endMs = performance.now() + seconds * 1000
  const over = (): boolean => performance.now() > endMs
  const count = (map: Map<string, number>, key: string): void => void map.set(key, (map.get(key) ?? 0) + 1)

  async function attacker(name: string): Promise<void> {
    const random = seededRandom(seed, name)
    while (!over()) {
      const one = random.pick(makers)(random)
      count(attacks, one.name)
      const localAddress = addressOf(random)
      // Waiting for each time limit would leave time for little else.
      const patient = random.chance(0.02)
      const conversation = await converse(service.port, one.steps, {
        localAddress,
        awaited: one.awaited,
        silenceMs: one.name === 'smuggled' ? SECOND_ANSWER_MS : 0,
        patienceMs: one.whole || patient ? PATIENCE_MS : HURRY_MS
      })
      for (const { status } of conversation.answers) count(statuses, `${one.name} ${status}`)
      const allowed = localAddress.startsWith('127.0.')
      const turnedAway = conversation.answers.some(({ status }) => status === 503)
      claims.push(...one.claims.map(claim => ({ ...claim, sure: claim.sure && allowed && !turnedAway })))
      const complaint = complaintAbout(one, conversation, allowed)
      if (complaint !== undefined) complaints.push(complaint)
    }
  }

  const attackers = Array.from({ length: AT_ONCE }, (_, index) => attacker(`attacker ${index}`))
  const senders = Array.from({ length: SENDERS }, (_, index) =>
    deliverSteadily(service.url + WEBHOOK, seededRandom(seed, `sender ${index}`), over)
  )
  await sleep(Math.max(1000, seconds * 200))
  const before = usageOf(pid)
  await Promise.all(attackers)
  const steady = await Promise.all(senders)
  await sleep(SETTLE_MS)
  const after = usageOf(pid)
  const healthy = await fetch(`${service.url}/healthz`).then(
    response => response.ok,
    () => false
  )
  const metrics = await fetch(`${service.url}/metrics`).then(response => response.text())
  service.process.kill('SIGTERM')
  const exit = await service.ended
  return {
    attacks,
    statuses,
    complaints,
    claims,
    steady,
    before,
    after,
    healthy,
    exit,
    metrics,
    output: service.output()
  }
}

/** 127.0.0.0/9 may deliver. */
const addressOf = (random: Random): string =>
  `127.${random.chance(0.8) ? 0 : 200}.${random.whole(0, 4)}.${random.whole(2, 250)}`

function complaintAbout(
  one: Attack,
  { answers, rest, ended, tookMs }: Conversation,
  allowed: boolean
): string | undefined {
  const what = wrongWith()
  if (what === undefined) return undefined
  const said = Buffer.concat(one.steps.flatMap(step => ('send' in step ? [step.send] : [])))
  const end = `ended by ${ended} after ${Math.round(tookMs)} ms`
  return `${one.name}: ${what}, ${end}; sent ${JSON.stringify(said.toString('latin1').slice(0, 1500))}`

  function wrongWith(): string | undefined {
    const wrong = answers.find(({ status }) => !one.allowed.includes(status) && !(status === 403 && !allowed))
    if (wrong !== undefined) return `answered ${wrong.status} ${wrong.body}`
    if (one.name === 'smuggled' && answers.length > 1) return `${answers.length} answers for one request`
    const sure = one.claims.filter(claim => claim.sure).length
    if (allowed && answers.length < sure) return `${answers.length} answers for ${one.awaited} requests`
    if (tookMs > PATIENCE_MS) return 'nobody hung up'
    return answers.length === 0 && rest !== '' ? `half an answer: ${JSON.stringify(rest)}` : undefined
  }
}

function usageOf(pid: number): Usage {
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return { residentMb: Math.round(Number(resident) / 1024), openFiles: readdirSync(`/proc/${pid}/fd`).length }
}
