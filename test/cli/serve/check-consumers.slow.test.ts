import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import t from 'tap'
import { inDays, makeCertificate } from '../../helpers/certificate.ts'
import { runToEnd } from '../../helpers/command.ts'
import { consumersFile, httpConsumer, natsConsumer } from '../../helpers/consumers-file.ts'
import { startNats } from '../../helpers/nats.ts'
import { startRabbit } from '../../helpers/rabbitmq.ts'
import { startReceiver } from '../../helpers/receiver.ts'
import { startRedis } from '../../helpers/redis.ts'
import { freePort, temporaryFolder } from '../../helpers/server.ts'
import { KEY } from '../../helpers/sign.ts'

t.setTimeout(600_000)

const PASSWORD = 'a-password-of-a-broker'
const folder = temporaryFolder()
const certificate = (name: string, names: string, fromDays = -1, untilDays = 2) =>
  makeCertificate(join(folder, name), { names, from: inDays(fromDays), until: inDays(untilDays) })
const trusted = certificate('trusted', 'DNS:localhost,IP:127.0.0.1')
const otherName = certificate('other-name', 'DNS:broker.example')
const expired = certificate('expired', 'DNS:localhost', -3, -1)

/** As RabbitMQ stores passwords: base64(salt ‖ SHA-256(salt ‖ password)). */
function passwordHash(password: string): string {
  const salt = Buffer.from('salt')
  return Buffer.concat([salt, createHash('sha256').update(salt).update(password).digest()]).toString('base64')
}

/** Users and virtual hosts of the RabbitMQ: `limited` can log in, and declare nothing. */
const definitions = {
  users: [
    { name: 'guest', password_hash: passwordHash('guest'), tags: 'administrator' },
    { name: 'limited', password_hash: passwordHash(PASSWORD), tags: '' }
  ].map(user => ({ ...user, hashing_algorithm: 'rabbit_password_hashing_sha256' })),
  vhosts: [{ name: '/' }, { name: 'closed' }],
  permissions: [
    { user: 'guest', vhost: '/', configure: '.*', write: '.*', read: '.*' },
    { user: 'limited', vhost: '/', configure: '^$', write: '.*', read: '.*' }
  ]
}
const definitionsFile = join(folder, 'definitions.json')
writeFileSync(definitionsFile, JSON.stringify(definitions))

const tlsArgs = ['--tls', '--tlscert', trusted.certFile, '--tlskey', trusted.keyFile]
const amqpsPort = await freePort()
const [redis, receiver, nats, natsTls, rabbit] = await Promise.all([
  startRedis({ appendonly: 'yes' }),
  startReceiver(),
  startNats({ args: ['--user', 'bridge', '--pass', PASSWORD] }),
  startNats({ args: tlsArgs }),
  startRabbit({
    settings: [
      `load_definitions = ${definitionsFile}`,
      `listeners.ssl.1 = 127.0.0.1:${amqpsPort}`,
      `ssl_options.cacertfile = ${trusted.certFile}`,
      `ssl_options.certfile = ${trusted.certFile}`,
      `ssl_options.keyfile = ${trusted.keyFile}`
    ]
  })
])
t.teardown(() => Promise.all([receiver.stop(), nats.stop(), natsTls.stop(), rabbit.stop(), redis.stop()]))

async function startHttps({ cert, key }: typeof trusted): Promise<string> {
  const server = createServer({ cert, key })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const address = server.address()
  return `localhost:${typeof address === 'object' && address !== null ? address.port : 0}`
}
const [goodHost, otherHost, expiredHost] = await Promise.all([trusted, otherName, expired].map(startHttps))

const login = { user: 'bridge', password: PASSWORD }
const amqp = (name: string, url: string, changes: Record<string, unknown> = {}) => ({
  name,
  type: 'amqp',
  url,
  exchange: 'cio',
  ...changes
})
const { port } = rabbit

/** Each consumer, and the cause and the fix of its failed check; `pass` without. */
const rows: readonly (readonly [consumer: Record<string, unknown>, cause: RegExp | 'pass', fix?: RegExp])[] =
  [
    [natsConsumer('nats-login', nats.url, login), 'pass'],
    [
      natsConsumer('nats-wrong-password', nats.url, { ...login, password: 'wrong' }),
      /NATS refuses the connection: .*Authorization Violation/i,
      /check user and password, or token/
    ],
    [
      natsConsumer('nats-no-login', nats.url),
      /Authorization Violation/i,
      /check user and password, or token/
    ],
    [natsConsumer('nats-tls', `tls://localhost:${natsTls.port}`), 'pass'],
    [natsConsumer('nats-tls-expected', `tls://localhost:${nats.port}`, login), /TLS|tls/, /^TLS failed/],
    [amqp('amqp-guest', rabbit.url), 'pass'],
    [amqp('amqp-tls', `amqps://localhost:${amqpsPort}`), 'pass'],
    [
      amqp('amqp-wrong-password', rabbit.url, { username: 'limited', password: 'wrong' }),
      /ACCESS.REFUSED|\b403\b/,
      /check username and password/
    ],
    [
      amqp('amqp-no-vhost', `${rabbit.url}/none`),
      /virtual host none: it does not exist, or/,
      /^create the virtual host/
    ],
    [
      amqp('amqp-closed-vhost', `${rabbit.url}/closed`),
      /virtual host closed: .* not permitted/,
      /permit it to the user/
    ],
    [
      amqp('amqp-no-permission', rabbit.url, { username: 'limited', password: PASSWORD }),
      /the exchange cio cannot be declared: .*403/,
      /permissions of the user/
    ],
    [amqp('amqp-tls-expected', `amqps://localhost:${port}`), /ERR_SSL|EPROTO|ECONNRESET/, /TLS failed/],
    [amqp('amqp-tls-not-expected', `amqp://localhost:${amqpsPort}`), /./, /check that the port speaks/],
    [httpConsumer('https', `https://${goodHost}/hook`), 'pass'],
    [httpConsumer('https-by-address', `https://${goodHost?.replace('localhost', '127.0.0.1')}/`), 'pass'],
    [httpConsumer('https-other-name', `https://${otherHost}/?token=hidden`), /ALTNAME/, /^TLS failed/],
    [httpConsumer('https-expired', `https://${expiredHost}/`), /CERT_HAS_EXPIRED/, /^TLS failed/],
    [httpConsumer('https-plain', receiver.url.replace('http:', 'https:')), /ERR_SSL|EPROTO/, /^TLS failed/],
    [httpConsumer('unresolved', 'http://does-not-exist.invalid/'), /ENOTFOUND|EAI_AGAIN/, /does not resolve/]
  ]

const env = {
  REDIS_URL: redis.url,
  CIO_WEBHOOK_SECRET: KEY,
  HOST: '127.0.0.1',
  PORT: '0',
  CONSUMERS_FILE: consumersFile(...rows.map(([consumer]) => consumer))
}

t.test('each consumer that cannot be reached is a failed line with its cause and its fix', async t => {
  const ca = join(folder, 'all.pem')
  writeFileSync(ca, [trusted, otherName, expired].map(({ cert }) => cert).join(''))
  const trusting = { ...env, NODE_EXTRA_CA_CERTS: ca }
  const { code, stdout, stderr } = await runToEnd(['serve', '--check', '--json'], trusting)
  t.equal(code, 1)
  t.equal(stderr, '')
  t.notMatch(stdout, PASSWORD)
  t.notMatch(stdout, 'hidden')
  const results: readonly { check: string; status: string; detail: string; fix?: string }[] =
    JSON.parse(stdout)
  for (const [{ name }, cause, fix] of rows) {
    const result = results.find(({ check }) => check === `consumer ${name}`)
    if (cause === 'pass') t.match(result, { status: 'pass', detail: String, fix: undefined }, String(name))
    else t.match(result, { status: 'fail', detail: cause, fix }, String(name))
  }
  t.equal(receiver.requests.length, 0)
})

t.test('an authority that Node does not trust is named as the cause', async t => {
  const { stdout } = await runToEnd(['serve', '--check'], env)
  for (const name of ['https', 'nats-tls', 'amqp-tls']) {
    t.match(
      stdout,
      new RegExp(`^fail {2}consumer ${name}: .*(?:SELF_SIGNED|UNABLE_TO)[^\\n]*\\n +fix: TLS`, 'm')
    )
  }
})
