import { get, type IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { type ConsoleAnswer, PASSWORD, startTestConsole } from '../helpers/console.ts'
import { appendEvent } from '../helpers/log.ts'
import { flushedRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const redis = await flushedRedis(t)

function openStream(
  t: Test,
  url: string,
  headers: Readonly<Record<string, string>> = {}
): Promise<IncomingMessage & { readonly received: () => string }> {
  return new Promise((resolve, reject) => {
    const request = get(`${url}/live/overview`, { agent: false, headers }, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('error', () => {})
      resolve(Object.assign(response, { received: () => Buffer.concat(chunks).toString() }))
    })
    request.once('error', reject)
    t.teardown(() => request.destroy())
  })
}

t.test('a stream gets a part of the page at once and at each change, and others do not delay it', async t => {
  const { service, url } = await startTestConsole(redis.url, {})
  t.teardown(service.close)
  const first = await openStream(t, url)
  t.equal(first.headers['content-type'], 'text/event-stream; charset=utf-8')
  await until('the first part', async () => first.received().endsWith('\n\n'))
  t.ok(
    first
      .received()
      .split('\n\n')[0]
      ?.split('\n')
      .every(line => line.startsWith('data: '))
  )
  const second = await openStream(t, url)
  await until('the first part of the second stream', async () => second.received().includes('Consumers'))
  await appendEvent(redis.client, { id: 'new' })
  const isShown = (text: string): boolean => /<dd>1<small>1 partition/.test(text)
  await until('the change', async () => [first, second].every(({ received }) => isShown(received())))
})

t.test(
  'one more live page than allowed gets 503, a place is free again when one is closed, and a stop ends all',
  async t => {
    const { service, url } = await startTestConsole(redis.url, {})
    const streams = await Promise.all(Array.from({ length: 50 }, () => openStream(t, url)))
    t.equal((await openStream(t, url)).statusCode, 503)
    streams[0]?.destroy()
    await until('a free place', async () => (await openStream(t, url)).statusCode === 200)
    const startedMs = performance.now()
    await service.close()
    t.ok(performance.now() - startedMs < 10_000)
  }
)

t.test('a log-out ends the live pages of its session on every replica, and those of no other', async t => {
  const consoles = [await startTestConsole(redis.url), await startTestConsole(redis.url)] as const
  t.teardown(() => Promise.all(consoles.map(({ service }) => service.close())))
  const person = consoles[0].client()
  const cookieOf = (answer: ConsoleAnswer): string => answer.headers['set-cookie']?.split(';', 1)[0] ?? ''
  const cookie = cookieOf(await person.logIn(PASSWORD))
  const other = cookieOf(await consoles[0].client().logIn(PASSWORD))
  const open = async (session: string) =>
    Promise.all(consoles.map(({ url }) => openStream(t, url, { cookie: session })))
  const [[here, there], others] = await Promise.all([open(cookie), open(other)])
  await person.get('/audit')
  t.equal((await person.post('/log-out')).status, 303)
  const isEnded = async (stream: IncomingMessage | undefined) => stream?.closed === true
  await until('the end here', () => isEnded(here))
  await until('the end at the other replica', () => isEnded(there))
  t.notOk(others.some(({ closed }) => closed))
})
