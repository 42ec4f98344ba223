import { readFileSync, rmSync } from 'node:fs'
import t from 'tap'
import { freePort, temporaryFolder, until } from '../helpers/server.ts'
import { answered, ask, type Delivery, delivery, type Reply } from './client.ts'
import { composeProject } from './compose.ts'
import { BUILD_TIMEOUT_MS, docker, freshClone } from './docker.ts'

t.setTimeout(BUILD_TIMEOUT_MS + 300_000)

const NAME = `cio-proof-${process.pid}`
const IMAGE = `cio-webhook-proof:compose-${process.pid}`
const PUBLISHED = '35.188.196.183'
const OWN_KEY = 'the-key-that-customer.io-shows'

const folder = temporaryFolder()
const port = await freePort()
await freshClone(folder)
const project = await composeProject(NAME, folder, { PORT: String(port), CIO_WEBHOOK_IMAGE: IMAGE })
const { compose } = project
t.teardown(async () => {
  await compose(['down', '--volumes', '--timeout', '5']).catch(() => {})
  await docker('rmi', '--force', IMAGE).catch(() => {})
  rmSync(folder, { recursive: true })
})

const up = (env: NodeJS.ProcessEnv = {}): Promise<string> =>
  compose(['up', '--detach'], { env, timeoutMs: BUILD_TIMEOUT_MS })
const healthy = (): Promise<unknown> =>
  until(
    'the service is healthy',
    async () => {
      const { State } = await project.container('webhook')
      if (State.Status === 'restarting') throw new Error(await compose(['logs', 'webhook', 'keys']))
      return State.Health?.Status === 'healthy'
    },
    60_000
  )
/** As the reverse proxy on this machine hands it on. */
const deliver = ({ body, headers }: Pick<Delivery, 'body' | 'headers'>, from = PUBLISHED): Promise<Reply> =>
  ask({ port, body, headers: { ...headers, 'x-forwarded-for': from } })
const redis = (...args: readonly string[]): Promise<string> =>
  compose(['exec', '-T', 'redis', 'redis-cli', ...args])
const keyInUse = (): Promise<string> => compose(['exec', '-T', 'webhook', 'cat', '/keys/webhook_secret'])

let firstKey = ''
let first = delivery()

t.before(async () => {
  const startedMs = performance.now()
  await up()
  await healthy()
  t.comment(`built and healthy after ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
  firstKey = await keyInUse()
  first = delivery(firstKey)
})

t.test('a fresh clone: what is signed with the key of the first run is accepted and kept', async t => {
  t.match(firstKey, /^[0-9a-f]{64}$/)
  t.same(await deliver(first), answered(200, 'accepted', first))
  t.equal(await redis('XLEN', 'cio:events:{0}'), '1')
  t.equal((await deliver({ body: first.body, headers: {} })).status, 401, 'unsigned')
  t.equal((await deliver(delivery(firstKey), '203.0.113.7')).status, 403, 'from elsewhere')
  const forged = `${PUBLISHED}, 203.0.113.7`
  t.equal((await deliver(delivery(firstKey), forged)).status, 403, 'from elsewhere, whatever is claimed')
})

t.test('a fresh clone: Redis is reached by the service alone, and keeps what it is given', async t => {
  const { NetworkSettings, Mounts } = await project.container('redis')
  t.same(Object.values(NetworkSettings.Ports).filter(Boolean), [], 'not published')
  t.match(Mounts, [{ Type: 'volume', Destination: '/data' }])
  const service = await project.container('webhook')
  t.match(
    Object.values(service.NetworkSettings.Ports).map(bindings => bindings?.map(({ HostIp }) => HostIp)),
    [['127.0.0.1']],
    'the service is published to this machine only'
  )
  for (const [name, value] of Object.entries({
    appendonly: 'yes',
    appendfsync: 'everysec',
    save: '',
    maxmemory: '1073741824',
    'maxmemory-policy': 'noeviction'
  })) {
    t.equal(await redis('CONFIG', 'GET', name), `${name}\n${value}`.trim())
  }
  t.match(JSON.parse((await ask({ port, path: '/healthz' })).body), { durability: { redis: 'aof-everysec' } })
})

t.test('each container is read-only, without capabilities, and can gain none', async t => {
  for (const name of ['webhook', 'redis']) {
    const { HostConfig } = await project.container(name)
    t.equal(HostConfig.ReadonlyRootfs, true, name)
    t.same(HostConfig.CapDrop, ['ALL'], name)
    t.same(HostConfig.SecurityOpt, ['no-new-privileges:true'], name)
  }
  const { Mounts, Config } = await project.container('webhook')
  t.match(Mounts, [{ Destination: '/keys', RW: false }])
  t.notMatch(Config.Env.join('\n'), firstKey)
})

t.test('Redis killed: the service says 503 and goes on, and what was kept is still known', async t => {
  await compose(['kill', '-s', 'SIGKILL', 'redis'])
  await until('it is noticed', async () => (await ask({ port, path: '/readyz' })).status === 503)
  t.equal((await deliver(delivery(firstKey))).status, 503)
  await compose(['start', 'redis'])
  await until('it is back', async () => (await ask({ port, path: '/readyz' })).status === 200, 30_000)
  t.same(await deliver(first), answered(200, 'duplicate', first))
})

t.test(
  'the operator’s own key takes the place of the random one, and stays without the variable',
  async t => {
    // As in the comment of docker-compose.yml.
    await compose(['run', '--rm', '-T', 'keys'], { input: `${OWN_KEY}\n` })
    await compose(['restart', 'webhook'])
    await healthy()
    const sent = delivery(OWN_KEY)
    t.same(await deliver(sent), answered(200, 'accepted', sent))
    t.equal((await deliver(delivery(firstKey))).status, 401, 'the key before it')

    // A setting that is handed on only where it is set, and the key before it, for the time of a rotation.
    await up({
      CIO_ALLOWED_IPS: '203.0.113.7',
      CIO_WEBHOOK_SECRET_PREVIOUS_FILE: '/keys/webhook_secret_previous'
    })
    await healthy()
    t.equal(await keyInUse(), OWN_KEY)
    const previous = delivery(firstKey)
    t.same(await deliver(previous, '203.0.113.7'), answered(200, 'accepted', previous))
    t.equal((await deliver(delivery(OWN_KEY))).status, 403, 'from the published list')
    const containers = (await project.remains()).containers.split('\n')
    t.ok(containers.length >= 3, 'the one that put the key in is there, and has ended')
    const shown = await docker('inspect', ...containers)
    for (const key of [OWN_KEY, firstKey]) t.notOk(shown.includes(key), 'docker inspect shows no key')
  }
)

t.test('the README’s first event with Docker is accepted, and is in the log', async t => {
  const readme = readFileSync(`${folder}/README.md`, 'utf8')
  const [, block = ''] = /### With Docker\n\n```sh\n([\s\S]*?)```/.exec(readme) ?? []
  const lines = block.trim().split('\n')
  t.same(
    [lines.shift(), lines.pop()],
    ['CIO_IP_POLICY=report docker-compose up -d --build', 'docker-compose down']
  )

  await up({ CIO_IP_POLICY: 'report' })
  await healthy()
  const outputs: string[] = []
  for (const line of lines) {
    const [program, ...args] = line.split(' ')
    t.equal(program, 'docker-compose')
    // Without a terminal.
    outputs.push(await compose(args.flatMap(arg => (arg === 'exec' ? ['exec', '-T'] : [arg]))))
  }
  t.equal(outputs.length, 2)
  t.match(outputs[0], '200           1 (1 accepted)')
  t.match(outputs[1], /email\.opened +sample-/)
})

t.test('down --volumes ends the service with 0 and leaves nothing', async t => {
  const startedMs = performance.now()
  await compose(['stop'])
  t.comment(`stopped in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
  t.equal((await project.container('webhook')).State.ExitCode, 0)
  t.equal((await project.container('redis')).State.ExitCode, 0)
  await compose(['down', '--volumes'])
  t.same(await project.remains(), { containers: '', networks: '', volumes: '' })
})
