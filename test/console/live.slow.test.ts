import { get, type IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import { startTestConsole } from '../helpers/console.ts'
import { appendEvent } from '../helpers/log.ts'
import { flushedRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'

const redis = await flushedRedis(t)

function openStream(t: Test, url: string): Promise<IncomingMessage & { readonly received: () => string }> {
  return new Promise((resolve, reject) => {
    const request = get(`${url}/live/overview`, { agent: false }, response => {
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
    t.ok(performance.now() - startedMs < 2000)
  }
)
