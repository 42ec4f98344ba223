import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { KEY } from '../helpers/sign.ts'

t.setTimeout(600_000)

const root = fileURLToPath(new URL('../../..', import.meta.url))
const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const page = readFileSync(`${root}/docs/events.md`, 'utf8')
const ID = '01KASN0R00Z3NDEKTSV4RRFFQ6'

t.test('every command of docs/events.md finds the event that it is about', async t => {
  const [redis, receiver] = [await startRedis(), await startReceiver()]
  const env = {
    REDIS_URL: redis.url,
    CIO_WEBHOOK_SECRET: KEY,
    PII_HASH_KEY: 'a key of the hashes',
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url))
  }
  const service = await startTestService(env)
  t.teardown(async () => {
    await service.close()
    await receiver.stop()
    await redis.stop()
  })
  const data = { customer_id: '42', identifiers: { email: 'ada@example.com', id: '42' } }
  await service.post(
    JSON.stringify({ event_id: ID, object_type: 'email', metric: 'opened', timestamp: 1795510800, data })
  )
  await service.post(
    JSON.stringify({ event_id: 'other', object_type: 'sms', metric: 'sent', timestamp: 1795510801, data: {} })
  )
  await until('acknowledged', async () => receiver.requests.length === 2)

  const commands = [...page.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block = '']) =>
    block.trim().split('\n')
  )
  t.equal(commands.length, 10)
  for (const command of commands) {
    const script = command.replaceAll('npx cio-webhook', `"${process.execPath}" "${MAIN}"`)
    // Not synchronous: the service and the receiver run in this process.
    const run = () =>
      promisify(execFile)('sh', ['-c', script], { env: { PATH: process.env['PATH'], ...env } }).catch(
        (error: { stdout: string; stderr: string }) => (command.includes('replay') ? false : error)
      )
    // The acknowledgement of an event that was just delivered may still be on its way.
    const { stdout, stderr } = await until(command, run)
    t.equal(stderr, '', command)
    if (command.includes(' hash ')) t.match(stdout, /[0-9a-f]{64}/, command)
    else t.match(stdout, command.includes('replay') ? '1 replayed to crm' : ID, command)
    if (/customer|email|show|--id/.test(command)) t.notMatch(stdout, 'other', command)
    t.notMatch(stdout, 'ada@example.com events', command)
  }
})
