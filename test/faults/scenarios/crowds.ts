import { Agent, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../../helpers/server.ts'
import { WEBHOOK_PATH } from '../../helpers/sign.ts'
import { count } from '../ledger.ts'
import { createReplica, type Replica } from '../replica.ts'
import { alone, connectTo, type Load, runUnderLoad } from '../run-under-load.ts'
import type { Check, Outcome, Scenario, Setting } from '../scenario.ts'
import { startStore } from '../store.ts'

/** Longest allowed time of an authentic delivery during an attack (law 9). */
const LIMIT_MS = 1000

/** One replica in production mode. 127.0.0.1 is a listed address, others are not. */
export async function underAttack(
  setting: Setting,
  act: (replica: Replica, load: Load) => Promise<readonly Check[]>,
  extraEnv: Readonly<Record<string, string>> = {}
): Promise<Outcome> {
  const store = await startStore('everysec')
  const env = {
    NODE_ENV: 'production',
    CIO_ALLOWED_IPS: '127.0.0.1',
    REDIS_URL: `redis://127.0.0.1:${store.port}`,
    SHUTDOWN_DELAY_SECONDS: '0',
    ...extraEnv
  }
  const replica = await createReplica(env, setting.main)
  let checks: readonly Check[] = []
  try {
    await replica.start()
    await replica.ready()
    const target = alone(replica, 1, () => connectTo(store.port))
    const observed = await runUnderLoad(target, { random: setting.random, gapMs: 40 }, async load => {
      checks = await act(replica, load)
    })
    const slowest = Math.round(observed.ledger.slowestAnswerMs)
    const inTime = {
      name: `every authentic delivery was answered within ${LIMIT_MS} ms`,
      passed: slowest < LIMIT_MS,
      detail: { slowest }
    }
    return {
      observed,
      extra: [inTime, ...checks],
      measured: { slowestAuthenticMs: slowest },
      demands: { acknowledged: 200, faults: 1, retried: 0, unavailable: false }
    }
  } finally {
    await replica.kill()
    await store.kill()
  }
}

const SLOW_CONNECTIONS = 1000

/** Half of the connections never finish their headers, half their body. Each is opened again when it is closed. */
const slowSenders = (setting: Setting) =>
  underAttack(setting, async ({ port }, load) => {
    const open = new Set<Socket>()
    let opened = 0
    let over = false
    const start = (number: number): void => {
      if (over) return
      const socket = connect(port, '127.0.0.1')
      opened++
      open.add(socket)
      socket.on('error', () => {})
      socket.on('data', () => {})
      socket.once('close', () => {
        open.delete(socket)
        setTimeout(start, setting.random.between(0, 1000), number)
      })
      const framing = number % 2 === 0 ? '' : 'content-length: 100000\r\n\r\n{'
      socket.write(`POST ${WEBHOOK_PATH} HTTP/1.1\r\nhost: localhost\r\n${framing}`)
    }
    for (let n = 0; n < SLOW_CONNECTIONS; n++) {
      start(n)
      // This process also sends the authentic deliveries, and must not delay them.
      if (n % 50 === 0) await sleep(50)
    }
    await until('the slow senders are connected', async () => open.size >= SLOW_CONNECTIONS * 0.8)
    load.fault(`${SLOW_CONNECTIONS} slow senders`)
    const untilMs = performance.now() + (setting.full ? 60_000 : 10_000)
    while (performance.now() < untilMs) {
      for (const socket of open) if (socket.writable) socket.write(setting.random.chance(0.5) ? 'x' : 'y')
      await sleep(500)
    }
    over = true
    for (const socket of open) socket.destroy()
    return [
      {
        name: 'slow senders were disconnected',
        passed: opened > SLOW_CONNECTIONS * 1.5,
        detail: { opened, kept: open.size }
      }
    ]
  })

/** Ten forged deliveries per authentic one, half of them from a listed address. */
const forgedFlood = (setting: Setting) =>
  underAttack(setting, async ({ port }, load) => {
    const answers = new Map<string, number>()
    const agents = ['127.0.0.1', '127.0.0.2'].map(
      localAddress => new Agent({ keepAlive: true, localAddress, maxSockets: 50 })
    )
    const untilMs = performance.now() + (setting.full ? 60_000 : 10_000)
    const [authenticBefore, startedMs] = [load.ledger.acknowledged, performance.now()]
    let forged = 0
    let under = 0
    load.fault('forged flood')
    while (performance.now() < untilMs) {
      const wanted = 10 * (load.ledger.acknowledged - authenticBefore) + 10
      while (forged < wanted && under < 200) {
        forged++
        under++
        void forge(agents[forged % agents.length] as Agent, port).then(status => {
          under--
          count(answers, status)
        })
      }
      await sleep(5)
    }
    await until('all forged deliveries are answered', async () => under === 0)
    for (const agent of agents) agent.destroy()
    const perSecond = Math.round((forged * 1000) / (performance.now() - startedMs))
    const authentic = load.ledger.acknowledged - authenticBefore
    const refusals = ['401', '403', '429']
    return [
      {
        name: 'at ten times the authentic rate every forged delivery was refused: 401, 403 or 429',
        passed: forged >= 8 * authentic && [...answers.keys()].every(status => refusals.includes(status)),
        detail: { forged, perSecond, authentic, answers: Object.fromEntries(answers) }
      }
    ]
  })

function forge(agent: Agent, port: number): Promise<string> {
  const body = '{"event_id":"forged","object_type":"email","metric":"opened","data":{}}'
  const headers = {
    'content-type': 'application/json',
    'content-length': body.length,
    'x-cio-timestamp': String(Math.floor(Date.now() / 1000)),
    'x-cio-signature': '0'.repeat(64)
  }
  return new Promise(resolve => {
    const options = { agent, host: '127.0.0.1', port, path: WEBHOOK_PATH, method: 'POST', headers }
    const delivery = request(options, response => {
      response.resume()
      response.once('end', () => resolve(String(response.statusCode)))
    })
    delivery.once('error', () => resolve('reset'))
    delivery.end(body)
  })
}

export const crowds: readonly Scenario[] = [
  {
    name: 'slow-senders',
    about: `${SLOW_CONNECTIONS} connections send requests that never end`,
    run: slowSenders
  },
  {
    name: 'forged-flood',
    about: 'forged deliveries arrive at ten times the authentic rate',
    run: forgedFlood
  }
]
