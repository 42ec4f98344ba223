import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { consoleClient } from '../helpers/console.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { type ServiceProcess, startServiceProcess } from '../helpers/process.ts'
import { answers, startReceiver, type TestReceiver } from '../helpers/receiver.ts'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'
import { stepsOf, walk } from '../helpers/walkthrough.ts'

t.setTimeout(180_000)

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
const ID = '01KASN0R00Z3NDEKTSV4RRFFQ6'
const ALIASES = `alias cio-webhook='docker-compose exec webhook cio-webhook'
alias cio-webhook='npx cio-webhook'
alias cio-webhook='kubectl exec -i deploy/cio-webhook -- cio-webhook'`

interface Stack {
  readonly env: Readonly<Record<string, string>>
  readonly folder: string
  readonly keyFile: string
  readonly receiver: TestReceiver
  readonly service: ServiceProcess
  /** What the names of the pages are here. */
  readonly names: Readonly<Record<string, string>>
  startRedis(): Promise<void>
  stopRedis(): Promise<void>
  /** Writes the log lines so far to the file that `names` has instead of `docker-compose logs`. */
  writeLog(): void
}

/** A service with a consumer, and `cio-webhook` on the PATH, with the environment of the service. */
async function startStack(t: Test): Promise<Stack> {
  const [folder, redisFolder, redisPort] = [temporaryFolder(), temporaryFolder(), await freePort()]
  const receiver = await startReceiver()
  const keyFile = join(folder, 'webhook_secret')
  writeFileSync(keyFile, 'the-key-of-the-service')
  let redis: TestRedis | undefined
  const stack = {
    startRedis: async () => {
      redis = await startRedis({ appendonly: 'yes' }, { port: redisPort, folder: redisFolder })
    },
    stopRedis: async () => redis?.stop()
  }
  await stack.startRedis()
  const port = String(await freePort())
  const crm = httpConsumer('crm', receiver.url, { timeoutMs: 1000, retryDelayMs: 1000, maxAttempts: 2 })
  const env = {
    REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    PORT: port,
    CONSOLE_PORT: String(await freePort()),
    CIO_WEBHOOK_SECRET_FILE: keyFile,
    PII_HASH_KEY: 'a key for the hashes of addresses',
    TRUSTED_PROXIES: '127.0.0.1',
    DATA_DIR: join(folder, 'data'),
    CONSUMERS_FILE: consumersFile(crm)
  }
  const service = await startServiceProcess(env)
  t.teardown(async () => {
    service.process.kill('SIGTERM')
    await service.ended
    await receiver.stop()
    await stack.stopRedis()
  })
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'cio-webhook'), `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`)
  chmodSync(join(bin, 'cio-webhook'), 0o755)
  const log = join(folder, 'service.log')
  return {
    ...stack,
    env: { ...env, PATH: `${bin}:${process.env['PATH']}` },
    folder,
    keyFile,
    receiver,
    service,
    names: {
      'localhost:3000': `localhost:${port}`,
      'redis.internal:6379': `127.0.0.1:${redisPort}`,
      'http://crm.internal/events': receiver.url,
      'docker-compose logs --no-log-prefix webhook': `cat ${log}`
    },
    writeLog: () => writeFileSync(log, service.output())
  }
}

t.test('each incident is seen, fixed and over as the page has it', async t => {
  const stack = await startStack(t)
  const { env, folder, names, receiver, writeLog: prepare } = stack
  const key = join(folder, 'key.txt')
  await walk(t, stepsOf('docs/walkthroughs/incident.md'), {
    env,
    folder,
    names,
    prepare,
    actions: {
      [ALIASES]: async () => undefined,
      'docker-compose stop redis\ncio-webhook send --count 2': async () => {
        await stack.stopRedis()
        return 'cio-webhook send --count 2 || test $? = 1'
      },
      'docker-compose start redis': async () => {
        const { text } = await consoleClient(`http://localhost:${env['CONSOLE_PORT']}`).get('/')
        t.match(text, /Deliveries get 503.*ECONNREFUSED/s, 'the overview of the console')
        await stack.startRedis()
        return undefined
      },
      'docker-compose pause crm\ncio-webhook send --set data.customer_id=4711': async () => {
        receiver.behave(() => {})
        return 'cio-webhook send --set data.customer_id=4711'
      },
      'docker-compose unpause crm\ncio-webhook send': async () => {
        receiver.behave(answers(204))
        return 'cio-webhook send'
      },
      'docker-compose run --rm -T keys < key.txt': async () => {
        writeFileSync(key, 'the-key-that-customer.io-shows')
        return `cat ${key} > ${stack.keyFile}`
      }
    }
  })
})

t.test(
  'a customer’s event is found, shown and sent again as the page has it, also in the console',
  async t => {
    const { env, folder, names, receiver, writeLog: prepare } = await startStack(t)
    await walk(t, stepsOf('docs/walkthroughs/find-an-event.md'), { env, folder, names, prepare })
    t.same(
      receiver.requests.map(({ headers }) => headers['webhook-id']),
      [ID, ID],
      'sent, and sent again'
    )

    const person = consoleClient(`http://localhost:${env['CONSOLE_PORT']}`)
    await person.get('/events')
    const found = await person.post('/events', { email: 'ada@example.com' })
    const [, path = ''] = /href="(\/events\/\d+-\d+-\d+)"/.exec(found.text) ?? []
    const event = await person.get(path)
    t.match(event.text, 'acknowledged')
    t.match(event.text, 'Send again')
    await person.get(`${path}/send-again?consumer=crm`)
    t.equal((await person.post(`${path}/send-again`, { consumer: 'crm' })).status, 303)
    await until('sent again', async () => receiver.requests.length === 3)
  }
)
