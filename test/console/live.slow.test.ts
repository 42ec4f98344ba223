import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { fastify } from 'fastify'
import t, { type Test } from 'tap'
import { html } from '../../src/console/html.ts'
import { createLiveUpdates } from '../../src/console/live.ts'
import { untilGone } from '../../src/console/until-gone.ts'
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

t.test(
  'a browser that has gone before its stream begins takes no place, and nothing is read for it',
  async t => {
    const app = fastify()
    const endedSessions = { end: async () => {}, isEnded: async () => false }
    const live = createLiveUpdates(app, endedSessions, error => t.fail(String(error)))
    let left = 0
    let rendered = 0
    app.get('/live/overview', (_request, reply) => live.stream(reply, async () => html`shown`))
    app.get('/late', async (_request, reply) => {
      await once(reply.raw, 'close')
      t.ok(untilGone(reply).aborted)
      live.stream(reply, async () => {
        rendered++
        return html`not shown`
      })
      left++
    })
    const url = await app.listen({ host: '127.0.0.1', port: 0 })
    t.teardown(() => app.close())
    for (let visit = 1; visit <= 50; visit++) {
      const request = get(`${url}/late`, { agent: false })
      request.on('error', () => {})
      await once(app.server, 'request')
      request.destroy()
      await until('the visitor has gone', async () => left === visit)
    }
    const stream = await openStream(t, url)
    t.equal(stream.statusCode, 200)
    await until('a part', async () => stream.received() !== '')
    t.equal(rendered, 0)
  }
)
