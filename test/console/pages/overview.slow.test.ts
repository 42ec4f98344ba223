import t from 'tap'
import { bestTime } from '../../helpers/best-time.ts'
import { startTestConsole, type TestConsole } from '../../helpers/console.ts'
import { consumersFile, httpConsumer } from '../../helpers/consumers-file.ts'
import { flushedRedis, startRedis } from '../../helpers/redis.ts'
import { freeze, until } from '../../helpers/server.ts'
import { KEY, newBody, signV0 } from '../../helpers/sign.ts'

const redis = await flushedRedis(t)

const textOf = (page: string): string =>
  page
    .replace(/<[^>]+>/g, ' ')
    .replaceAll(/\s+/g, ' ')
    .replaceAll('&#39;', "'")

async function overviewOf({ client }: TestConsole): Promise<string> {
  return textOf((await client().get('/')).text)
}

t.test(
  'the overview has Redis, partitions, keys, consumers, replicas and addresses, and no secret',
  async t => {
    const running = await startTestConsole(redis.url, {
      PARTITIONS: '2',
      CIO_WEBHOOK_SECRET_PREVIOUS: 'the-previous-key',
      CONSUMERS_FILE: consumersFile(httpConsumer('crm', 'http://127.0.0.1:1/'))
    })
    t.teardown(running.service.close)
    await running.service.post(newBody())
    await running.service.post(newBody(), signV0('other', 'unknown key'))
    const page = await until('the counts', async () => {
      const text = await overviewOf(running)
      return /1 delivery in the last hour/.test(text) && / 1 [0-9a-f]{8} 0 \d+ s ago/.test(text) && text
    })
    t.match(page, /Customer\.io is getting through/)
    t.match(
      page,
      new RegExp(
        `State up Address 127\\.0\\.0\\.1:${redis.port} Server (Redis|Valkey) \\d+\\.\\d+\\.\\d+ Persistence none Memory`
      )
    )
    t.match(page, /Events in the log 1 2 partitions/)
    t.match(page, /default [0-9a-f]{8} 1 [0-9a-f]{8} 0 \d+ s ago/)
    t.match(page, /crm http/)
    t.match(page, /The built-in list of 26 addresses/)
    t.match(page, /The previous key [0-9a-f]{8} of the source default is still accepted/)
    const { text } = await running.client().get('/')
    for (const secret of [KEY, 'the-previous-key', 'unknown key']) t.notMatch(text, secret)
  }
)

t.test('while Redis hangs, the page is there in time and gives the cause', async t => {
  const own = await startRedis()
  t.teardown(() => own.stop('SIGKILL'))
  const running = await startTestConsole(own.url, {})
  t.teardown(running.service.close)
  await overviewOf(running)
  await freeze(own)
  const tookMs = await bestTime(4000, async () =>
    t.match(await overviewOf(running), /Deliveries get 503|cannot be read from Redis/)
  )
  t.ok(tookMs < 4000, `${tookMs} ms`)
  await until('the cause', async () =>
    /Deliveries get 503\. Redis at .*: [A-Za-z]/.test(await overviewOf(running))
  )
})
