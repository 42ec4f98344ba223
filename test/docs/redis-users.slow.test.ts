import { readFileSync } from 'node:fs'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createConsumer } from '../../src/consume/consumer.ts'
import { startCluster } from '../helpers/cluster.ts'
import { runToEnd } from '../helpers/command.ts'
import { consumersFile, httpConsumer } from '../helpers/consumers-file.ts'
import { appendEvent } from '../helpers/log.ts'
import { startReceiver } from '../helpers/receiver.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/server.ts'
import { startTestService } from '../helpers/service.ts'
import { KEY, newBody } from '../helpers/sign.ts'

t.setTimeout(600_000)

const EVENTS = 'cio:events:{0}'
const page = readFileSync('docs/deploy.md', 'utf8')
const redis = await startRedis({ appendonly: 'yes' })
t.teardown(() => redis.stop())

/** The rules of a user on the page. */
function rulesOf(name: string): readonly string[] {
  const line = new RegExp(`^user ${name} on #<[^>]+> (.+)$`, 'm').exec(page)?.[1]
  if (line === undefined) throw new Error(`docs/deploy.md has no user ${name}`)
  return line.match(/\(.*?\)|\S+/g) ?? []
}

/** Creates a user of the page, with a password of the test. @returns the URL with that user */
async function createUser(name: string): Promise<string> {
  await redis.client.acl('SETUSER', name, 'reset', 'on', '>pw', ...rulesOf(name))
  return redis.url.replace('redis://', `redis://${name}:pw@`)
}

/** What Redis refused since the last call. */
async function refused(): Promise<readonly unknown[]> {
  const log = await redis.client.acl('LOG')
  await redis.client.acl('LOG', 'RESET')
  return Array.isArray(log) ? log : [log]
}

/** Commands that end with NOPERM for this user. */
async function assertRefused(t: Test, url: string, commands: readonly (readonly [string, ...string[]])[]) {
  const client = new Redis(url)
  try {
    for (const [command, ...args] of commands) {
      await t.rejects(
        client.call(command, ...args),
        { message: /^NOPERM|^ERR ACL failure in script|can't run this command|can't access/ },
        `${command} ${args.join(' ')}`
      )
    }
  } finally {
    client.disconnect()
  }
  await refused()
}

t.test('the user of the service may do all that it needs, and nothing beyond its keys', async t => {
  const receiver = await startReceiver()
  t.teardown(() => receiver.stop())
  const env = {
    REDIS_URL: await createUser('cio-webhook'),
    CIO_WEBHOOK_SECRET: KEY,
    CONSUMERS_FILE: consumersFile(httpConsumer('crm', receiver.url))
  }
  const { stdout } = await runToEnd(['serve', '--check'], { ...env, HOST: '127.0.0.1', PORT: '0' })
  t.match(stdout, /^pass {2}redis permissions: every command/m)
  const service = await startTestService(env)
  t.equal((await service.post(newBody())).status, 200)
  await until('the push', async () => receiver.requests.length > 0)
  await service.close()
  t.same(await refused(), [])
  await assertRefused(t, env.REDIS_URL, [
    ['SET', 'another:key', '1'],
    ['FLUSHALL'],
    ['CONFIG', 'SET', 'maxmemory', '0'],
    ['ACL', 'LIST'],
    ['KEYS', '*'],
    ['SHUTDOWN']
  ])
})

t.test('in a Redis Cluster the user of the service needs the commands that the page adds', async t => {
  const added = /For Redis Cluster add `(.+?)`/.exec(page)?.[1]?.split(' ') ?? []
  const { nodes, stop } = await startCluster()
  t.teardown(stop)
  for (const { client } of nodes) {
    await client.acl('SETUSER', 'cio-webhook', 'reset', 'on', '>pw', ...rulesOf('cio-webhook'), ...added)
  }
  const service = await startTestService({
    REDIS_CLUSTER_NODES: `127.0.0.1:${nodes[0]?.port}`,
    REDIS_USERNAME: 'cio-webhook',
    REDIS_PASSWORD: 'pw',
    PARTITIONS: '3'
  })
  for (let events = 0; events < 10; events++) t.equal((await service.post(newBody())).status, 200)
  await service.close()
  for (const { client } of nodes) t.same(await client.acl('LOG'), [])
})

t.test('the user of a consumer with the library can read, and cannot change the log', async t => {
  const url = await createUser('crm')
  const seen: string[] = []
  const consumer = createConsumer(
    {
      redisUrl: url,
      group: 'crm',
      from: 'now',
      maxAttempts: 2,
      backoff: { firstMs: 5, maxMs: 10 },
      onError: () => {}
    },
    async ({ id }) => {
      if (id === 'failing') throw new Error('no')
      seen.push(id)
    }
  )
  await consumer.start()
  for (const id of ['a', 'failing', 'b']) await appendEvent(redis.client, { id })
  await until('the dead letter', async () => (await redis.client.xlen('cio:dead:crm')) === 1)
  await until('the events', async () => seen.includes('b'))
  await consumer.stop()
  t.same(await refused(), [])
  await assertRefused(t, url, [
    ['XADD', EVENTS, '*', 'type', 'forged'],
    ['XTRIM', EVENTS, 'MAXLEN', '0'],
    ['XDEL', EVENTS, '1-1'],
    ['DEL', EVENTS],
    ['EVAL', "return redis.call('DEL', KEYS[1])", '1', EVENTS],
    ['GET', 'cio:dedupe:{0}:generations'],
    ['XRANGE', 'cio:parked:{0}', '-', '+']
  ])
})

t.test('the user of a plain Redis Streams group can read, and cannot change the log', async t => {
  const url = await createUser('billing')
  const client = new Redis(url)
  t.teardown(() => client.disconnect())
  await client.get('cio:partitions')
  await client.xgroup('CREATE', EVENTS, 'billing', '0', 'MKSTREAM').catch(() => {})
  await client.xautoclaim(EVENTS, 'billing', 'one', 60_000, '0', 'JUSTID')
  t.match(await client.xreadgroup('GROUP', 'billing', 'one', 'BLOCK', 1000, 'STREAMS', EVENTS, '>'), [
    [EVENTS]
  ])
  await client.xack(EVENTS, 'billing', '1-1')
  t.same(await refused(), [])
  await assertRefused(t, url, [
    ['XADD', EVENTS, '*', 'type', 'forged'],
    ['DEL', EVENTS],
    ['XGROUP', 'DESTROY', EVENTS, 'crm'],
    ['GET', 'cio:dedupe:{0}:generations']
  ])
})
