import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { count } from '../../faults/ledger.ts'
import type { Check } from '../../faults/scenario.ts'
import { type ServiceProcess, startServiceProcess } from '../../helpers/process.ts'
import { type Random, seededRandom } from '../../helpers/random.ts'
import { startRedis } from '../../helpers/redis.ts'
import { WEBHOOK_PATH } from '../../helpers/sign.ts'
import type { Attack } from './attack.ts'
import { makers } from './attacks.ts'
import { checkSockets } from './checks.ts'
import { type Conversation, converse } from './converse.ts'
import type { Claim } from './requests.ts'
import { deliverSteadily, type Steady } from './steady.ts'

/** Everything observed in a run. */
export interface SocketRun {
  /** Number of attacks by name. */
  readonly attacks: ReadonlyMap<string, number>
  /** Conversations with an unexpected result. */
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

interface Usage {
  readonly residentMb: number
  readonly openFiles: number
}

const AT_ONCE = 8
/** A second response to a smuggled request would arrive in this time. */
const SECOND_ANSWER_MS = 200
const SENDERS = 2
/** Longer than every timeout of the service: 3 s for a head, 3.4 s for a response, 10 s for a body. */
const TIMEOUT_MS = 16_000
/** Timeout for most incomplete requests. */
const SHORT_TIMEOUT_MS = 60
/** Time for the service's timeouts and its garbage collector. */
const SETTLE_MS = 12_000

/** Sends hostile bytes to a running service with a Redis, together with authentic deliveries. */
export async function fuzzSockets(seed: number, seconds: number): Promise<readonly Check[]> {
  const redis = await startRedis()
  // 127.0.0.0 to 127.127.255.255 may deliver, the others may not.
  const service = await startServiceProcess({
    REDIS_URL: redis.url,
    CIO_ALLOWED_IPS: '127.0.0.0/9',
    NODE_ENV: 'production'
  })
  try {
    const run = await attack(service, seed, seconds)
    return await checkSockets(run, redis.client)
  } finally {
    service.process.kill('SIGKILL')
    await redis.stop()
  }
}

async function attack(service: ServiceProcess, seed: number, seconds: number): Promise<SocketRun> {
  const attacks = new Map<string, number>()
  const complaints: string[] = []
  const claims: Claim[] = []
  const pid = service.process.pid ?? 0
  const endMs = performance.now() + seconds * 1000
  const over = (): boolean => performance.now() > endMs

  async function attacker(name: string): Promise<void> {
    const random = seededRandom(seed, name)
    while (!over()) {
      const one = random.pick(makers)(random)
      count(attacks, one.name)
      const localAddress = addressOf(random)
      // Waiting for every timeout would take most of the time.
      const patient = random.chance(0.02)
      const conversation = await converse(service.port, one.steps, {
        localAddress,
        awaited: one.awaited,
        silenceMs: one.name === 'smuggled' ? SECOND_ANSWER_MS : 0,
        patienceMs: one.whole || patient ? TIMEOUT_MS : SHORT_TIMEOUT_MS
      })
      const allowed = localAddress.startsWith('127.0.')
      const turnedAway = conversation.answers.some(({ status }) => status === 503)
      claims.push(...one.claims.map(claim => ({ ...claim, sure: claim.sure && allowed && !turnedAway })))
      const complaint = complaintAbout(one, conversation, allowed)
      if (complaint !== undefined) complaints.push(complaint)
    }
  }

  const attackers = Array.from({ length: AT_ONCE }, (_, index) => attacker(`attacker ${index}`))
  const senders = Array.from({ length: SENDERS }, (_, index) =>
    deliverSteadily(service.url + WEBHOOK_PATH, seededRandom(seed, `sender ${index}`), over)
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

/** In 127.0.0.0/9, which may deliver, or not. */
const addressOf = (random: Random): string =>
  `127.${random.chance(0.8) ? 0 : 200}.${random.whole(0, 4)}.${random.whole(2, 250)}`

function complaintAbout(
  one: Attack,
  { answers, rest, ended, tookMs }: Conversation,
  allowed: boolean
): string | undefined {
  const what = findProblem()
  if (what === undefined) return undefined
  const said = Buffer.concat(one.steps.flatMap(step => ('send' in step ? [step.send] : [])))
  const end = `ended ${ended} after ${Math.round(tookMs)} ms`
  return `${one.name}: ${what}, ${end}; sent ${JSON.stringify(said.toString('latin1').slice(0, 1500))}`

  function findProblem(): string | undefined {
    const wrong = answers.find(({ status }) => !one.allowed.includes(status) && !(status === 403 && !allowed))
    if (wrong !== undefined) return `answered ${wrong.status} ${wrong.body}`
    if (one.name === 'smuggled' && answers.length > 1) return `${answers.length} responses to one request`
    const sure = one.claims.filter(claim => claim.sure).length
    if (allowed && answers.length < sure) return `${answers.length} responses to ${one.awaited} requests`
    if (tookMs > TIMEOUT_MS) return 'the connection was not closed'
    return answers.length === 0 && rest !== '' ? `incomplete response: ${JSON.stringify(rest)}` : undefined
  }
}

function usageOf(pid: number): Usage {
  const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return { residentMb: Math.round(Number(resident) / 1024), openFiles: readdirSync(`/proc/${pid}/fd`).length }
}
