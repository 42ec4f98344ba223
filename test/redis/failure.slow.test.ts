import { spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createServer as createHttp } from 'node:http'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openLog } from '../../src/cli/open-log.ts'
import { createLogger } from '../../src/ops/logger.ts'
import { createRedisReport } from '../../src/ops/redis-report.ts'
import { FINDINGS } from '../../src/redis/causes.ts'
import { connectRedis, disconnectRedis } from '../../src/redis/connect.ts'
import { followFailures } from '../../src/redis/failure.ts'
import { Secret } from '../../src/secret.ts'
import { inDays, makeCertificate } from '../helpers/certificate.ts'
import { startSentinel } from '../helpers/cluster.ts'
import { serverHasWaitAof, startRedis, type TestRedis } from '../helpers/redis.ts'
import { repeat } from '../helpers/repeat.ts'
import { freePort, freeze, isListening, startServer, temporaryFolder, until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'

// More at once would make the causes that are found by a timeout depend on the load of the machine.
t.jobs = 8

type Environment = Record<string, string>
type Health = Record<string, unknown>

async function redisWith(settings: Environment = {}): Promise<TestRedis> {
  const redis = await startRedis(settings)
  t.teardown(() => redis.stop('SIGKILL'))
  return redis
}

/** The port of a server that does this with each connection. */
async function serverThat(handle: (socket: Socket) => void): Promise<number> {
  const server = createServer(socket => handle(socket.on('error', () => {})))
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  server.unref()
  return (server.address() as AddressInfo).port
}

async function httpServer(): Promise<number> {
  const server = createHttp((_request, response) => response.end())
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** A port that accepts no connection and refuses none, as behind a firewall: its queue of connections is full. */
async function blackhole(): Promise<number> {
  const block = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'
  const child = spawn(process.execPath, [
    '-e',
    `const server = require('net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () =>
      process.stdout.write(String(server.address().port), () => ${block}))`
  ])
  t.teardown(() => child.kill('SIGKILL'))
  const port = await new Promise<number>(resolve => child.stdout.once('data', text => resolve(Number(text))))
  for (let count = 0; count < 3; count++) {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    t.teardown(() => socket.destroy())
  }
  return port
}

/** A Redis that reads its data for about half a minute. */
async function loadingRedis(): Promise<number> {
  const folder = temporaryFolder()
  const full = await startRedis({ 'enable-debug-command': 'yes' }, { folder })
  await full.client.call('DEBUG', 'POPULATE', 30_000)
  await full.client.save()
  await full.stop()
  const port = await freePort()
  const slow = ['--key-load-delay', '1000', '--loading-process-events-interval-bytes', '1024']
  const server = await startServer({
    command: 'redis-server',
    args: ['--port', String(port), '--save', '', ...slow],
    folder,
    ready: () => isListening(port)
  })
  t.teardown(() => server.stop('SIGKILL'))
  return port
}

const certificates = temporaryFolder()
const certificate = (name: string, from: Date, end: Date) =>
  makeCertificate(join(certificates, name), { names: 'IP:127.0.0.1', from, until: end })

async function tlsRedis(name: string, from: Date, end: Date): Promise<number> {
  const { certFile, keyFile } = certificate(name, from, end)
  const port = await freePort()
  const files = { 'tls-cert-file': certFile, 'tls-key-file': keyFile, 'tls-ca-cert-file': certFile }
  await redisWith({ ...files, 'tls-port': String(port), 'tls-auth-clients': 'no' })
  return port
}

/** A Redis that cannot write its snapshot, and so refuses all writes. */
async function brokenDisk(): Promise<TestRedis> {
  const redis = await redisWith({ save: '3600 1' })
  await redis.client.set('a', 'b')
  rmSync(redis.folder, { recursive: true })
  await redis.client.bgsave().catch(() => {})
  await until('the failed snapshot', async () => /MISCONF/.test(await redis.client.ping().catch(String)))
  return redis
}

const PASSWORD = 'hunter2'
const unused = await freePort()
const unusedToo = await freePort()
const [plain, guarded, frozen, replica, broken, slotless, master] = await Promise.all([
  redisWith(),
  redisWith(),
  redisWith(),
  redisWith(),
  brokenDisk(),
  redisWith({ 'cluster-enabled': 'yes', 'cluster-port': String(await freePort()) }),
  redisWith()
])
const writable = await redisWith()
const copy = await redisWith({ replicaof: `127.0.0.1 ${writable.port}` })
const watching = await startSentinel(master.port, 60_000)
t.teardown(() => watching.stop('SIGKILL'))
await guarded.client.config('SET', 'requirepass', PASSWORD)
await guarded.client.call('AUTH', PASSWORD)
await guarded.client.call('ACL', 'SETUSER', 'mute', 'on', `>${PASSWORD}`, '~*', '+@all', '-ping')
await guarded.client.call('ACL', 'SETUSER', 'blind', 'on', `>${PASSWORD}`, '~other:*', '+@all')
await guarded.client.call('ACL', 'SETUSER', 'reader', 'on', `>${PASSWORD}`, '~*', '+@all', '-del')
await guarded.client.call('ACL', 'SETUSER', 'scripts', 'on', `>${PASSWORD}`, '~*', '+@all', '-hset')
await freeze(frozen)
await replica.client.config('SET', 'replica-serve-stale-data', 'no')
await replica.client.replicaof('127.0.0.1', unused)

const tls = await tlsRedis('valid', inDays(-1), inDays(9))
const at = (port: number, login = '', scheme = 'redis'): Environment => ({
  REDIS_URL: `${scheme}://${login}127.0.0.1:${port}`
})
const http = await httpServer()

/** The environment, the cause, and the address if it is not that of REDIS_URL. */
const faults: Readonly<Record<string, readonly [Environment, string, string?]>> = {
  'nothing listens': [at(unused), 'ECONNREFUSED (nothing listens at this address)'],
  'the host name is unknown': [
    { REDIS_URL: 'redis://nowhere.invalid' },
    'ENOTFOUND (unknown host name)',
    'nowhere.invalid:6379'
  ],
  'a firewall drops the packets': [
    at(await blackhole()),
    'ETIMEDOUT (no connection in time: is a firewall in between?)'
  ],
  'the password is wrong': [at(guarded.port, ':hunter3@'), 'WRONGPASS (wrong user or password)'],
  'the password is missing': [at(guarded.port), 'NOAUTH (a password is needed)'],
  'a command is not permitted': [
    at(guarded.port, `mute:${PASSWORD}@`),
    'NOPERM (the Redis user may not run ping: allow it with ACL SETUSER <user> +ping)'
  ],
  'the keys are not permitted': [
    at(guarded.port, `blind:${PASSWORD}@`),
    'NOPERM (the Redis user may not use the keys of CIO_KEY_PREFIX: allow them with ACL SETUSER <user> ~cio:*)'
  ],
  'the server does not use TLS': [at(plain.port, '', 'rediss'), FINDINGS.plain],
  'the server does not use TLS, and has a password': [at(guarded.port, '', 'rediss'), FINDINGS.plain],
  'the server uses TLS': [at(tls), FINDINGS.tls],
  'the certificate is not trusted': [
    at(tls, '', 'rediss'),
    'DEPTH_ZERO_SELF_SIGNED_CERT (the certificate is not trusted: set NODE_EXTRA_CA_CERTS to its CA)'
  ],
  'it is an HTTP server': [at(http), FINDINGS.http],
  'it is an HTTP server, asked with TLS': [at(http, '', 'rediss'), FINDINGS.http],
  'it is an SSH server': [
    at(await serverThat(socket => socket.write('SSH-2.0-OpenSSH_9\r\n'))),
    FINDINGS.other
  ],
  'it says nothing': [at(await serverThat(() => {})), FINDINGS.silent],
  'it says nothing, asked with TLS': [at(await serverThat(() => {}), '', 'rediss'), FINDINGS.silent],
  'it closes the connection': [
    at(await serverThat(socket => socket.end())),
    'ECONNRESET (the server closed the connection before it replied)'
  ],
  'it hangs': [at(frozen.port), FINDINGS.silent],
  'it is loading': [
    at(await loadingRedis()),
    'LOADING (Redis is reading its data from disk: wait until it is ready)'
  ],
  'its disk is broken': [
    at(broken.port),
    'MISCONF (Redis cannot write to its disk and refuses all writes: see its log; is the disk full?)'
  ],
  'a replica has lost its master': [
    at(replica.port),
    'MASTERDOWN (this replica has lost its master: use the address of the master)'
  ],
  'the Cluster has no slots': [
    { REDIS_CLUSTER_NODES: `127.0.0.1:${slotless.port}` },
    'CLUSTERDOWN (the Cluster does not serve all slots: see redis-cli cluster info)',
    `127.0.0.1:${slotless.port}`
  ],
  'the node of the Cluster does not run': [
    { REDIS_CLUSTER_NODES: `127.0.0.1:${unused}` },
    'ECONNREFUSED (nothing listens at this address)',
    `127.0.0.1:${unused}`
  ],
  'the node of the Cluster refuses the password': [
    { REDIS_CLUSTER_NODES: `127.0.0.1:${guarded.port}`, REDIS_PASSWORD: 'hunter3' },
    'WRONGPASS (wrong user or password)',
    `127.0.0.1:${guarded.port}`
  ],
  'the server is not a Cluster': [
    { REDIS_CLUSTER_NODES: `127.0.0.1:${plain.port}` },
    'ERR (not a Cluster: set REDIS_URL, not REDIS_CLUSTER_NODES)',
    `127.0.0.1:${plain.port}`
  ],
  'the sentinel does not run': [
    { REDIS_SENTINELS: `127.0.0.1:${unusedToo}` },
    'ECONNREFUSED (nothing listens at this address)',
    `127.0.0.1:${unusedToo}`
  ],
  'the sentinel does not know the master': [
    { REDIS_SENTINELS: `127.0.0.1:${watching.port}`, REDIS_SENTINEL_MASTER: 'other' },
    'ERR (the sentinels do not know this master: check REDIS_SENTINEL_MASTER)',
    `127.0.0.1:${watching.port}`
  ],
  'the sentinel is none': [
    { REDIS_SENTINELS: `127.0.0.1:${plain.port}` },
    'ERR (not a sentinel: check REDIS_SENTINELS)',
    `127.0.0.1:${plain.port}`
  ],
  'the master behind the sentinel does not run': [
    { REDIS_SENTINELS: `127.0.0.1:${watching.port}` },
    'ECONNREFUSED (nothing listens at this address)',
    `127.0.0.1:${master.port}`
  ]
}

/** The service also needs permissions and writes that not every command needs. */
const faultsOfService: typeof faults = {
  'it is a replica': [at(copy.port), 'READONLY (this is a replica: use the address of the master)'],
  'a write is not permitted': [
    at(guarded.port, `reader:${PASSWORD}@`),
    'NOPERM (the Redis user may not run del: allow it with ACL SETUSER <user> +del)'
  ],
  'a write of a script is not permitted': [
    { ...at(guarded.port, `scripts:${PASSWORD}@`), CIO_KEY_PREFIX: 'scripts:' },
    // Redis 7.0 does not name the command.
    serverHasWaitAof()
      ? 'NOPERM (the Redis user may not run hset: allow it with ACL SETUSER <user> +hset)'
      : 'NOPERM (the Redis user lacks a permission: redis-cli acl log names it)'
  ]
}
await master.stop('SIGKILL')

const healthOf = async (url: string): Promise<Health> =>
  (await (await fetch(`${url}/healthz`)).json()) as Health

/** What a new service says about its Redis, and its log. */
async function reportOf(t: Test, env: Environment) {
  const service = await startTestService(env, { ready: false })
  t.teardown(() => service.close())
  let health: Health = {}
  await until('the cause', async () => {
    health = await healthOf(service.url)
    return health['redisCause'] !== undefined
  })
  return { health, service }
}

async function checkService(
  t: Test,
  [env, cause, address]: readonly [Environment, string, string?]
): Promise<void> {
  const server = address ?? `127.0.0.1:${env['REDIS_URL']?.split(':').at(-1)}`
  const expected = { redis: 'down', status: 'degraded', redisAddress: server, redisCause: cause }
  // A server may need longer for its answer than the service waits for it.
  const { health, service } = await repeat(
    () => reportOf(t, env),
    ({ health }) => health['redisCause'] === cause
  )
  t.match(health, expected)
  const lines = service.logLines().filter(({ level }) => level === 'error')
  t.match(lines, [
    {
      msg: `cannot reach Redis at ${server}: ${cause}; deliveries get 503 until it is back`,
      address: server,
      cause
    }
  ])
  t.notMatch(service.logText() + JSON.stringify(health), /hunter/)
}

t.test('a handshake that takes a while is not taken for a fault', { buffered: true }, async t => {
  // It serves the PING that examines it, and does not reply to the handshake.
  const port = await serverThat(socket => {
    socket.on('data', data => String(data) === 'PING\r\n' && socket.write('+PONG\r\n'))
  })
  const address = { kind: 'standalone', url: new Secret(`redis://127.0.0.1:${port}`) } as const
  const redis = connectRedis(address).on('error', () => {})
  t.teardown(() => disconnectRedis(redis))
  await until('the handshake', async () => redis.status === 'connect')
  const failures = followFailures(redis, address)
  const lines: string[] = []
  const { log } = createLogger('info', { write: line => void lines.push(line) })
  const report = createRedisReport({ redis, failures, durability: { level: 'server' }, log })
  t.teardown(() => report.stop())
  report.fail()
  await failures.describe()
  await new Promise(resolve => setImmediate(resolve))
  t.equal(redis.status, 'connect')
  t.same(lines, [])
})

for (const [name, fault] of Object.entries({ ...faults, ...faultsOfService })) {
  t.test(`if ${name}, log and /healthz of the service say so, once`, { buffered: true }, t =>
    checkService(t, fault)
  )
}

for (const [name, [env, cause, address]] of Object.entries(faults)) {
  if (/keys are|disk is|lost its/.test(name)) continue // reads are permitted
  t.test(`if ${name}, a command says so`, { buffered: true }, async t => {
    const server = address ?? `127.0.0.1:${env['REDIS_URL']?.split(':').at(-1)}`
    const expected = `cannot reach Redis at ${server}: ${cause}; check REDIS_URL (or REDIS_SENTINELS, REDIS_CLUSTER_NODES)`
    const open = () =>
      openLog(env).then(
        () => 'no error',
        (error: Error) => error.message
      )
    t.equal(await repeat(open, message => message === expected), expected)
  })
}
