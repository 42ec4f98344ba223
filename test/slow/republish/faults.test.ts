import { jetstreamManager } from '@nats-io/jetstream'
import { connect as connectNats } from '@nats-io/transport-node'
import { connect as connectAmqp } from 'amqplib'
import { Webhook } from 'standardwebhooks'
import t from 'tap'
import { consumersFile, httpConsumer, natsConsumer, WEBHOOK_SECRET } from '../../helpers/consumers-file.ts'
import { startNats } from '../../helpers/nats.ts'
import { startServiceProcess } from '../../helpers/process.ts'
import { startRabbit } from '../../helpers/rabbitmq.ts'
import { answers, type Behaviour, startReceiver, type TestReceiver } from '../../helpers/receiver.ts'
import { startRedis } from '../../helpers/redis.ts'
import { temporaryFolder, until } from '../../helpers/server.ts'
import { postTo } from '../../helpers/service.ts'

const EVENTS = Number(process.env['FAULT_EVENTS'] ?? 4000)
const AWAY_MS = Number(process.env['FAULT_AWAY_MS'] ?? 5000)
const SENDERS = 16

t.setTimeout(600_000)

/** Each kind of trouble, for one request in seven, and a good answer otherwise. */
const moody: Behaviour = (request, response, count) => {
  const mood = count % 21
  if (mood === 3) return void response.writeHead(500).end()
  if (mood === 10) return // hangs
  if (mood === 17) return void response.socket?.resetAndDestroy()
  delivered.moody.push(request.headers['webhook-id'] ?? '')
  response.writeHead(200).end()
}
const delivered = { moody: [] as string[], good: [] as string[], some: [] as string[] }

const good =
  (name: 'good' | 'some'): Behaviour =>
  (request, response) => {
    delivered[name].push(request.headers['webhook-id'] ?? '')
    response.writeHead(204).end()
  }

t.test(
  'brokers stop and start, receivers misbehave, a dispatcher is killed: nobody misses anything',
  async t => {
    const redis = await startRedis({ appendonly: 'yes' })
    const [natsFolder, rabbitFolder] = [temporaryFolder(), temporaryFolder()]
    let nats = await startNats({ folder: natsFolder })
    let rabbit = await startRabbit({ folder: rabbitFolder })
    const receivers: TestReceiver[] = [
      await startReceiver(moody),
      await startReceiver(good('good')),
      await startReceiver(good('some')),
      await startReceiver(answers(410)),
      await startReceiver(answers(500)),
      await startReceiver(() => {})
    ]
    const urls = receivers.map(({ url }) => url) as [string, string, string, string, string, string]
    const quick = { retryDelayMs: 100, maxRetryDelayMs: 1000, timeoutMs: 1000, maxAttempts: 60 }

    const amqp = await connectAmqp(rabbit.url)
    const setup = await amqp.createChannel()
    await setup.assertExchange('cio', 'topic', { durable: true })
    await setup.assertQueue('all', { durable: true })
    await setup.bindQueue('all', 'cio', '#')
    await amqp.close()

    const env = {
      REDIS_URL: redis.url,
      LOG_LEVEL: 'info',
      CONSUMERS_FILE: consumersFile(
        httpConsumer('moody', urls[0], quick),
        httpConsumer('good', urls[1], quick),
        httpConsumer('some', urls[2], { ...quick, types: ['sms.*'] }),
        httpConsumer('gone', urls[3], quick),
        httpConsumer('broken', urls[4], { ...quick, maxAttempts: 3, backlog: 50 }),
        httpConsumer('hung', urls[5], { ...quick, concurrency: 2, backlog: 20 }),
        natsConsumer('bus', nats.url),
        { name: 'work', type: 'amqp', url: rabbit.url, exchange: 'cio' }
      )
    }
    const services = [await startServiceProcess(env), await startServiceProcess(env)]
    t.teardown(async () => {
      for (const service of services) {
        service.process.kill('SIGTERM')
        await service.ended
      }
      for (const receiver of receivers) await receiver.stop()
      await nats.stop()
      await rabbit.stop()
      await redis.stop()
    })

    const sent = Array.from({ length: EVENTS }, (_, index) => `e${index}`)
    const type = (index: number): string => (index % 4 === 0 ? 'sms' : 'email')
    let next = 0
    let refused = 0
    const send = async (): Promise<void> => {
      for (let index = next++; index < EVENTS; index = next++) {
        const body = JSON.stringify({
          event_id: sent[index],
          object_type: type(index),
          metric: 'sent',
          timestamp: 1795510800,
          data: { customer_id: `c${index % 100}`, recipient: 'canary@example.com' }
        })
        // As Customer.io does: again, until it is taken.
        for (;;) {
          const answer = await postTo(
            `${services[index % services.length]?.url}/api/cio/webhook`,
            body
          ).catch(() => undefined)
          if (answer?.status === 200) break
          refused++
          await new Promise(resolve => setTimeout(resolve, 50))
        }
      }
    }
    const faults = async (): Promise<void> => {
      await until('a quarter', async () => next > EVENTS / 4, 300_000)
      await Promise.all([nats.stop('SIGKILL'), rabbit.stop('SIGKILL')])
      services[0]?.process.kill('SIGKILL')
      await services[0]?.ended
      services[0] = await startServiceProcess(env)
      await new Promise(resolve => setTimeout(resolve, AWAY_MS))
      nats = await startNats({ folder: natsFolder, port: nats.port })
      rabbit = await startRabbit({ folder: rabbitFolder, port: rabbit.port })
    }
    await Promise.all([faults(), ...Array.from({ length: SENDERS }, send)])
    t.comment(`${EVENTS} events sent, ${refused} attempts refused or cut off`)

    const wanted = new Set(sent)
    const some = new Set(sent.filter((_, index) => type(index) === 'sms'))
    const complete = (name: string, got: () => Promise<readonly string[]>, all: ReadonlySet<string>) =>
      t.test(`${name} has everything it asked for and nothing else`, async t => {
        const ids = await until(
          `everything at ${name}`,
          async () => {
            const ids = await got()
            return new Set(ids).size >= all.size && ids
          },
          240_000
        ).catch(() => got())
        const missing = [...all].filter(id => !ids.includes(id))
        t.same(missing, [], `${missing.length} are missing`)
        t.same(
          ids.filter(id => !all.has(id)),
          []
        )
        t.comment(`${name}: ${ids.length - new Set(ids).size} duplicates`)
      })

    await complete('good', async () => delivered.good, wanted)
    await complete('some', async () => delivered.some, some)
    await complete('moody', async () => delivered.moody, wanted)
    await complete('bus', () => inStream(nats.url), wanted)
    await complete('work', () => inQueue(rabbit.url), wanted)

    await t.test(
      'the broken one has dead letters, the one that is gone and the hung one all in the log',
      async t => {
        const letters = await until(
          'all letters',
          async () => {
            const count = await redis.client.xlen('cio:dead:broken')
            return count >= EVENTS && count
          },
          240_000
        ).catch(() => redis.client.xlen('cio:dead:broken'))
        t.ok(letters >= EVENTS, `${letters} dead letters`)
        t.ok(await redis.client.hexists('cio:consumer:gone', 'disabledAtMs'))
        t.equal(await redis.client.xlen('cio:events:{0}'), EVENTS)
      }
    )

    await t.test('every request verifies, and nothing personal is in one', async t => {
      const webhook = new Webhook(WEBHOOK_SECRET)
      let wrong = 0
      for (const request of receivers[1]?.requests ?? []) {
        try {
          webhook.verify(request.body, { ...request.headers })
        } catch {
          wrong++
        }
        if (request.body.includes('canary')) wrong++
      }
      t.equal(wrong, 0)
    })
  }
)

async function inStream(url: string): Promise<string[]> {
  const connection = await connectNats({ servers: url })
  try {
    const manager = await jetstreamManager(connection)
    const ids: string[] = []
    const consumer = await manager.jetstream().consumers.get('CIO', { deliver_policy: 'all' } as never)
    const { num_pending: pending } = await consumer.info()
    if (pending === 0) return ids
    for await (const message of await consumer.fetch({ max_messages: pending, expires: 5000 })) {
      ids.push(message.headers?.get('Nats-Msg-Id') ?? '')
      if (ids.length === pending) break
    }
    return ids
  } finally {
    await connection.close()
  }
}

async function inQueue(url: string): Promise<string[]> {
  const connection = await connectAmqp(url)
  try {
    const channel = await connection.createChannel()
    const { messageCount } = await channel.checkQueue('all')
    const ids: string[] = []
    await channel.prefetch(0)
    if (messageCount === 0) return ids
    await new Promise<void>(resolve => {
      void channel.consume('all', message => {
        ids.push(String(message?.properties.messageId))
        if (ids.length === messageCount) resolve()
      })
    })
    return ids
  } finally {
    await connection.close()
  }
}
