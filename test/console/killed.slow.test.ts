import t from 'tap'
import { deadLetters } from '../../src/group/dead-letters.ts'
import { consoleClient } from '../helpers/console.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { startServiceProcess } from '../helpers/process.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { connectedRedis } from '../helpers/redis.ts'
import { freePort, until } from '../helpers/server.ts'

t.setTimeout(600_000)

const redis = await connectedRedis(t)
const LETTERS = 3000

t.test(
  'a service that is killed during a replay of many dead letters loses none: after 15 s the replay can be started again',
  async t => {
    const receiver = await startReceiver()
    const [port, consolePort] = [await freePort(), await freePort()]
    const env = {
      REDIS_URL: redis.url,
      PORT: String(port),
      CONSOLE_PORT: String(consolePort),
      CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url))
    }
    const killed = await startServiceProcess(env)
    t.teardown(async () => {
      killed.process.kill('SIGKILL')
      await receiver.stop()
    })
    const letters = deadLetters(redis.client, 'cio:')
    const type = 'io.customer.email.opened'
    const failure = { reason: 'failed', error: new Error('as a test'), attempts: 1 } as const
    const ids = Array.from({ length: LETTERS }, (_, index) => `e${index}`)
    await Promise.all(
      ids.map((id, index) => {
        const event = JSON.stringify({ specversion: '1.0', id, source: '/customerio/default', type })
        return letters.add('crm', { type, event, position: `0-${index + 1}-0` }, failure)
      })
    )
    const person = consoleClient(`http://127.0.0.1:${consolePort}`)
    const replay = async () => {
      await person.get('/consumers/crm/dead-letters')
      const fields = { action: 'replay matching', confirmed: 'yes' }
      return person.post('/consumers/crm/dead-letters', fields)
    }
    t.equal((await replay()).status, 303)
    await until('some are replayed', async () => (await letters.count('crm')) < LETTERS)
    killed.process.kill('SIGKILL')
    await killed.ended
    const killedMs = performance.now()
    const lockMs = await redis.client.pttl('cio:bulk-lock:consumer:crm')
    t.ok(lockMs > 0 && lockMs <= 15_000, `the lock expires after ${lockMs} ms`)
    const left = await letters.count('crm')
    t.ok(left > 0 && left < LETTERS, `${left} are left`)

    const next = await startServiceProcess(env)
    t.teardown(async () => {
      next.process.kill('SIGTERM')
      await next.ended
    })
    if (performance.now() - killedMs < 10_000) {
      t.match(await replay(), {
        status: 409,
        text: /being replayed or dropped already, started by developer/
      })
    }
    await until(
      'the lock expires',
      async () => (await redis.client.exists('cio:bulk-lock:consumer:crm')) === 0
    )
    const { text } = await person.get('/consumers/crm/dead-letters')
    t.match(text, 'It was interrupted: start it again for the rest.')
    t.equal((await replay()).status, 303)
    await until('no dead letters', async () => (await letters.count('crm')) === 0, 200_000)
    const missing = (): number => {
      const received = new Set(receiver.requests.map(({ headers }) => headers['webhook-id']))
      return ids.filter(id => !received.has(id)).length
    }
    await until('all received', async () => missing() === 0, 200_000).catch(() => {})
    t.equal(missing(), 0)
    const { text: result } = await person.get('/consumers/crm/dead-letters')
    t.match(result, /replayed \(/)
  }
)
