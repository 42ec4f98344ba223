import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect } from '@nats-io/transport-node'
import t from 'tap'
import { type Certificate, inDays, makeCertificate } from '../../helpers/certificate.ts'
import { consumersFile, natsConsumer } from '../../helpers/consumers-file.ts'
import { startNats } from '../../helpers/nats.ts'
import { startServiceProcess } from '../../helpers/process.ts'
import { startRabbit } from '../../helpers/rabbitmq.ts'
import { startRedis } from '../../helpers/redis.ts'
import { freePort, temporaryFolder, until } from '../../helpers/server.ts'
import { postTo } from '../../helpers/service.ts'
import { WEBHOOK_PATH } from '../../helpers/sign.ts'
import { bindQueue, inQueue } from '../faults/arrivals.ts'

t.setTimeout(600_000)

const certificateFor = (names: string): Certificate =>
  makeCertificate(join(temporaryFolder(), 'certificate'), { names, from: inDays(-1), until: inDays(2) })
const right = certificateFor('DNS:localhost,IP:127.0.0.1')
const otherName = certificateFor('DNS:broker.example')

const rows: readonly (readonly [
  name: string,
  certificate: Certificate,
  trusted: boolean,
  arrives: boolean
])[] = [
  ['for its name and trusted', right, true, true],
  ['signed by an unknown authority', right, false, false],
  ['trusted and for another name', otherName, true, false]
]

for (const [name, { certFile, keyFile }, trusted, arrives] of rows) {
  const outcome = arrives ? 'events arrive' : 'events wait in the log'
  t.test(`brokers over TLS with a certificate that is ${name}: ${outcome}`, async t => {
    const redis = await startRedis()
    const nats = await startNats({ args: ['--tls', '--tlscert', certFile, '--tlskey', keyFile] })
    const amqpsPort = await freePort()
    const rabbit = await startRabbit({
      settings: [
        `listeners.ssl.1 = 127.0.0.1:${amqpsPort}`,
        `ssl_options.cacertfile = ${certFile}`,
        `ssl_options.certfile = ${certFile}`,
        `ssl_options.keyfile = ${keyFile}`
      ]
    })
    await bindQueue(rabbit.url, 'work')
    const service = await startServiceProcess({
      REDIS_URL: redis.url,
      LOG_LEVEL: 'info',
      ...(trusted ? { NODE_EXTRA_CA_CERTS: certFile } : {}),
      CONSUMERS_FILE: consumersFile(
        natsConsumer('bus', `tls://localhost:${nats.port}`),
        { name: 'work', type: 'amqp', url: `amqps://localhost:${amqpsPort}`, exchange: 'work' },
        { name: 'work-by-address', type: 'amqp', url: `amqps://127.0.0.1:${amqpsPort}`, exchange: 'work' }
      )
    })
    t.teardown(async () => {
      service.process.kill('SIGTERM')
      await service.ended
      await Promise.all([nats.stop(), rabbit.stop(), redis.stop()])
    })
    const body = JSON.stringify({
      event_id: 'e1',
      object_type: 'email',
      metric: 'opened',
      timestamp: 1795510800,
      data: { customer_id: '1' }
    })
    t.equal((await postTo(`${service.url}${WEBHOOK_PATH}`, body)).status, 200)
    const groups = ['bus', 'work', 'work-by-address']
    const consumersIn = (message: string): string[] =>
      service
        .output()
        .split('\n')
        .filter(line => line.includes(message))
        .map(line => JSON.parse(line).consumer)
    if (!arrives) {
      await until(
        'the failures',
        async () => new Set(consumersIn('delivery to the consumer fails')).size === groups.length
      )
      t.same(await inQueue(rabbit.url, 'work'), [])
      for (const group of groups) {
        t.equal((await redis.client.xpending('cio:events:{0}', group))[0], 1, `${group} waits`)
      }
      return
    }
    await until('both AMQP consumers', async () => (await inQueue(rabbit.url, 'work')).length === 2)
    const ca = readFileSync(certFile, 'utf8')
    const connection = await connect({ servers: `tls://localhost:${nats.port}`, tls: { ca } })
    t.teardown(() => connection.close())
    const manager = await jetstreamManager(connection)
    await until('the stream', async () => (await manager.streams.info('CIO')).state.messages === 1)
    t.same(consumersIn('delivery to the consumer fails'), [])
  })
}
