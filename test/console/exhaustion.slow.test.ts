import { get, type IncomingMessage } from 'node:http'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { startServiceProcess } from '../helpers/process.ts'
import { connectedRedis } from '../helpers/redis.ts'
import { freePort, until } from '../helpers/server.ts'
import { postTo } from '../helpers/service.ts'
import { WEBHOOK_PATH } from '../helpers/sign.ts'

t.setTimeout(600_000)

const redis = await connectedRedis(t)
const consolePort = await freePort()
const service = await startServiceProcess({ REDIS_URL: redis.url, CONSOLE_PORT: String(consolePort) })
t.teardown(async () => {
  service.process.kill('SIGTERM')
  await service.ended
})
const consoleUrl = `http://127.0.0.1:${consolePort}`

let ids = 0
/** Sends deliveries one after another. @returns their statuses, and the median of their milliseconds */
async function deliver(count: number) {
  const statuses = new Set<number>()
  const times: number[] = []
  for (let sent = 0; sent < count; sent++) {
    const startedMs = performance.now()
    const body = JSON.stringify({ event_id: `e-${++ids}`, object_type: 'email', metric: 'sent' })
    statuses.add((await postTo(service.url + WEBHOOK_PATH, body)).status)
    times.push(performance.now() - startedMs)
  }
  return { statuses: [...statuses], medianMs: times.sort((a, b) => a - b)[Math.floor(count / 2)] ?? 0 }
}

/** Opens a connection to the console that sends `text` and nothing more, or never reads what it gets. */
function hang(text: string): Promise<Socket> {
  return new Promise(resolve => {
    const socket = connect(consolePort, '127.0.0.1')
    socket.on('error', () => {}).resume()
    socket.once('connect', () => {
      socket.write(text)
      resolve(socket)
    })
    t.teardown(() => socket.destroy())
  })
}

const isOpen = async (): Promise<boolean> =>
  fetch(consoleUrl, { signal: AbortSignal.timeout(2000), headers: { connection: 'close' } }).then(
    ({ ok }) => ok,
    () => false
  )

t.test(
  'connections to the console that never finish a request are limited, closed after 10 s, and delay no delivery',
  async t => {
    const before = await deliver(50)
    const beginnings = [
      '',
      'GET',
      'GET / HTTP/1.1\r\nhost: localhost\r\n',
      'POST /log-in HTTP/1.1\r\nhost: a\r\n'
    ]
    const body = 'POST /theme HTTP/1.1\r\nhost: localhost\r\ncontent-length: 9999\r\n\r\na'
    const texts = [...beginnings, body]
    const startedMs = performance.now()
    const sockets = await Promise.all(
      Array.from({ length: 300 }, (_, index) => hang(texts[index % texts.length] ?? ''))
    )
    await until('those beyond the limit are closed', async () => {
      const open = sockets.filter(socket => !socket.closed).length
      return open <= 200 && open > 0
    })
    t.notOk(await isOpen(), 'the console has no place left')
    const meanwhile = await deliver(50)
    t.same(meanwhile.statuses, [200])
    t.ok(
      meanwhile.medianMs < Math.max(50, 5 * before.medianMs),
      `${before.medianMs}, ${meanwhile.medianMs} ms`
    )
    await until('all are closed', async () => sockets.every(({ closed }) => closed))
    t.ok(performance.now() - startedMs < 30_000, 'after 10 s, and what it takes to notice')
    await until('the console is open again', isOpen)
  }
)

t.test('live pages that nobody reads are limited, and delay no delivery', async t => {
  const before = await deliver(50)
  const streams = await Promise.all(
    Array.from(
      { length: 60 },
      () =>
        new Promise<IncomingMessage>((resolve, reject) => {
          const request = get(`${consoleUrl}/live/overview`, { agent: false }, response => {
            response.pause()
            response.on('error', () => {})
            resolve(response)
          })
          request.once('error', reject)
          t.teardown(() => request.destroy())
        })
    )
  )
  const statuses = streams.map(({ statusCode }) => statusCode)
  t.same(
    [200, 503].map(wanted => statuses.filter(status => status === wanted).length),
    [50, 10]
  )
  const meanwhile = await deliver(50)
  t.same(meanwhile.statuses, [200])
  t.ok(meanwhile.medianMs < Math.max(50, 5 * before.medianMs), `${before.medianMs}, ${meanwhile.medianMs} ms`)
  t.ok(await isOpen(), 'pages are still shown')
})
