import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import {
  connectRedis,
  disconnectRedis,
  duplicateConnection,
  mastersOf,
  type RedisClient
} from '../../src/redis/connect.ts'
import { isCluster } from '../../src/redis/is-cluster.ts'
import { Secret } from '../../src/secret.ts'
import type { RedisAddress } from '../../src/settings/redis-address.ts'
import { MASTER, NO_LOGIN, startSentinels } from '../helpers/cluster.ts'
import { startRedis, type TestRedis } from '../helpers/redis.ts'
import { freePort, until } from '../helpers/server.ts'
import { startTcpProxy } from '../helpers/tcp-proxy.ts'

/** Within this time after the end of a fault, a connection is usable again. */
const RECOVERY_MS = 15_000

const usable = (redis: RedisClient) =>
  until(
    'a usable connection',
    async () => (await Promise.race([redis.set('key', 'value'), sleep(2000)]).catch(() => {})) === 'OK',
    RECOVERY_MS
  )

/** A Cluster of one master. */
async function startLoneMaster(t: Test, port?: number): Promise<TestRedis> {
  const settings = {
    'cluster-enabled': 'yes',
    'cluster-port': String(await freePort()),
    // Without another node, it does not know its address.
    'cluster-announce-ip': '127.0.0.1'
  }
  const node = await startRedis(settings, port === undefined ? {} : { port })
  t.teardown(() => node.stop('SIGKILL'))
  await node.client.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16383)
  await until('the slots are served', async () =>
    String(await node.client.cluster('INFO')).includes('cluster_state:ok')
  )
  return node
}

const clusterAt = (port: number): RedisAddress => ({
  kind: 'cluster',
  nodes: [{ host: '127.0.0.1', port }],
  login: NO_LOGIN
})

function open(t: Test, ...[address, profile]: Parameters<typeof connectRedis>): RedisClient {
  const redis = connectRedis(address, profile)
  redis.on('error', () => {})
  t.teardown(() => disconnectRedis(redis))
  return redis
}

t.test('a Cluster that fails while its slots are read, and its nodes are in use, is found again', async t => {
  // Accepts connections and does not reply.
  const proxy = await startTcpProxy(0)
  await proxy.set('silent')
  const redis = open(t, clusterAt(proxy.port))
  const using = setInterval(() => {
    for (const node of mastersOf(redis)) node.info().catch(() => {})
  }, 100)
  t.teardown(() => clearInterval(using))
  await sleep(1000)
  await proxy.close()
  await sleep(4000)
  await startLoneMaster(t, proxy.port)
  await usable(redis)
})

for (const profile of ['fail-fast', 'blocking'] as const) {
  t.test(
    `a Cluster whose nodes all have new addresses is found through its startup node, ${profile}`,
    async t => {
      const old = await startLoneMaster(t)
      const startup = await startTcpProxy(old.port)
      t.teardown(startup.close)
      const redis = open(t, clusterAt(startup.port), profile)
      await usable(redis)

      await old.stop('SIGKILL')
      const during = redis.set('key', 'during').catch(() => {})
      await sleep(1000)
      startup.forwardTo((await startLoneMaster(t)).port)
      await usable(redis)
      t.ok(await Promise.race([during.then(() => true), sleep(RECOVERY_MS)]), 'a command settled meanwhile')
    }
  )
}

t.test('connecting to a Cluster that is down at first ends when it is up', async t => {
  const master = await startLoneMaster(t)
  await master.client.call('CLUSTER', 'DELSLOTS', 0)
  const redis = open(t, clusterAt(master.port), 'blocking')
  await new Promise<void>(resolve => {
    redis.once('end', resolve)
    redis.disconnect()
  })
  const connecting = redis.connect().then(
    () => 'connected',
    () => 'failed'
  )
  await sleep(1000)
  await master.client.call('CLUSTER', 'ADDSLOTS', 0)
  t.match(await Promise.race([connecting, sleep(RECOVERY_MS)]), /connected|failed/)
  await usable(redis)
})

for (const topology of ['standalone', 'cluster'] as const) {
  t.test(
    `the copy of BullMQ leaves a server that does not reply at first after 4 s, ${topology}`,
    async t => {
      const server = topology === 'cluster' ? await startLoneMaster(t) : await startRedis()
      t.teardown(() => server.stop('SIGKILL'))
      const proxy = await startTcpProxy(server.port)
      t.teardown(proxy.close)
      await server.client.config('SET', 'cluster-announce-port', proxy.port).catch(() => {})
      const url = new Secret(`redis://127.0.0.1:${proxy.port}`)
      const original = open(
        t,
        topology === 'cluster' ? clusterAt(proxy.port) : { kind: 'standalone', url },
        'blocking'
      )
      const copy = isCluster(original) ? original.duplicate() : original.duplicate()
      copy.on('error', () => {})
      await usable(copy)
      proxy.cut()
      await proxy.set('silent')
      await until('a connection to the silent server', async () => copy.status !== 'ready')
      await sleep(1000)
      await proxy.set('forwarding')
      const startedMs = performance.now()
      await usable(copy)
      const tookMs = performance.now() - startedMs
      t.ok(tookMs < 8000, `usable after ${Math.round(tookMs)} ms`)
      const blocked = copy.bzpopmin('nothing', 6).catch((error: Error) => error.message)
      t.equal(await blocked, null, 'a blocked connection is silent for longer')
    }
  )
}

t.test('a second error of a socket, as an alert of a TLS server, does not end the process', async t => {
  const [single, master] = [await startRedis(), await startLoneMaster(t)]
  t.teardown(() => single.stop('SIGKILL'))
  for (const redis of [open(t, single.address), open(t, clusterAt(master.port))]) {
    await usable(redis)
    const sockets = mastersOf(redis).map(({ stream }) => stream)
    t.ok(sockets.length > 0)
    for (const socket of sockets) {
      socket.emit('error', new Error('the server is not trusted'))
      t.doesNotThrow(() => socket.emit('error', new Error('alert')))
    }
  }
})

t.test('a client closed while it waits for a reconnect ends, and its queued commands fail', async t => {
  const server = await startRedis()
  const redis = open(t, server.address, 'blocking')
  await usable(redis)
  await server.stop('SIGKILL')
  await until('the wait', async () => redis.status === 'reconnecting')
  const queued = redis.get('key').catch((error: Error) => error.message)
  const ended = new Promise(resolve => redis.once('end', () => resolve('ended')))
  disconnectRedis(redis)
  t.equal(await Promise.race([queued, sleep(RECOVERY_MS)]), 'Connection is closed.')
  t.equal(await Promise.race([ended, sleep(RECOVERY_MS)]), 'ended')
})

t.test('nothing is printed when the connections to the sentinels break', async t => {
  const { sentinels, stop } = await startSentinels()
  t.teardown(stop)
  const proxies = await Promise.all(sentinels.map(({ port }) => startTcpProxy(port)))
  t.teardown(() => Promise.all(proxies.map(proxy => proxy.close())))
  const printed = t.capture(console, 'error')
  const nodes = proxies.map(({ port }) => ({ host: '127.0.0.1', port }))
  const redis = open(t, { kind: 'sentinel', nodes, master: MASTER, login: NO_LOGIN })
  await usable(redis)
  await sleep(500)
  for (const proxy of proxies) proxy.cut()
  await sleep(500)
  t.same(printed(), [])
})

t.test('a copy of a client of a user finds Sentinel again, whatever the options of the user', async t => {
  const { sentinels, stop } = await startSentinels()
  t.teardown(stop)
  const proxy = await startTcpProxy(sentinels[0]?.port ?? 0)
  t.teardown(proxy.close)
  await proxy.set('down')
  const original = new Redis({
    sentinels: [{ host: '127.0.0.1', port: proxy.port }],
    name: MASTER,
    sentinelRetryStrategy: () => null,
    retryStrategy: () => null,
    lazyConnect: true
  })
  const copy = duplicateConnection(original)
  copy.on('error', () => {})
  t.teardown(() => disconnectRedis(copy))
  await sleep(1000)
  await proxy.set('silent')
  await sleep(1000)
  await proxy.set('forwarding')
  await usable(copy)
})
