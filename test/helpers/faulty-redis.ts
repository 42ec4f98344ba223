import { Cluster, Redis } from 'ioredis'
import { moveSlot } from '../faults/slots.ts'
import { createCluster, MASTER, NEVER_DOWN_MS, setDownAfter, startSentinel } from './cluster.ts'
import type { Random } from './random.ts'
import type { TestRedis } from './redis.ts'
import { freePort, until } from './server.ts'
import { type StoppableServer, startStoppable } from './stoppable-server.ts'
import { startTcpProxy, type TcpProxy } from './tcp-proxy.ts'

/** Redis in one topology, with faults that a test can cause. */
export interface FaultyRedis {
  /** The settings of a service that uses it. */
  readonly env: Readonly<Record<string, string>>
  /** The options of a library consumer that uses it. */
  readonly connection: { readonly redisUrl: string } | { readonly redis: Redis | Cluster }
  /** Each begins and goes on until `heal`. */
  readonly faults: Readonly<Record<string, () => Promise<unknown>>>
  /** Ends all faults. Resolves when the servers themselves are healthy. */
  heal(): Promise<void>
  stop(): Promise<void>
}

const HEAL_MS = 60_000
const PERSISTENT = { appendonly: 'yes', 'repl-diskless-sync-delay': '0' }

const proxyFaults = (name: string, proxies: readonly TcpProxy[]): FaultyRedis['faults'] => ({
  ...Object.fromEntries(
    (['silent', 'closing', 'slow', 'down'] as const).map(mode => [
      `${name} ${mode}`,
      () => Promise.all(proxies.map(proxy => proxy.set(mode)))
    ])
  ),
  [`${name} cut`]: async () => proxies.map(proxy => proxy.cut())
})

export async function startFaultyStandalone(): Promise<FaultyRedis> {
  const settings = { ...PERSISTENT, 'loading-process-events-interval-bytes': '1024' }
  const server = await startStoppable(settings)
  const proxy = await startTcpProxy(server.current.port)
  const filler = Array.from({ length: 500 }, (_, n) => [`filler-${n}`, 'x'.repeat(50)])
  await server.current.client.mset(filler.flat())
  let restarting: Promise<unknown> = Promise.resolve()
  return {
    env: { REDIS_URL: `redis://127.0.0.1:${proxy.port}` },
    connection: { redisUrl: `redis://127.0.0.1:${proxy.port}` },
    faults: {
      ...proxyFaults('network', [proxy]),
      'server frozen': server.freeze,
      'server killed': server.kill,
      'server restarted, loading for a while': async () => {
        await server.kill()
        restarting = server.start({ 'key-load-delay': '200' })
      },
      'server restarted at another port': async () => {
        await server.kill()
        await server.start({}, await freePort())
        proxy.forwardTo(server.current.port)
      },
      'server is a replica': () => server.ask(client => client.replicaof('127.0.0.1', 1)).catch(() => {})
    },
    heal: async () => {
      await restarting
      await server.start()
      await proxy.set('forwarding')
      await until(
        'a master',
        () => server.ask(client => client.replicaof('NO', 'ONE')).catch(() => false),
        HEAL_MS
      )
    },
    stop: async () => {
      await proxy.close()
      await server.current.stop('SIGKILL')
    }
  }
}

export async function startFaultySentinel(random: Random): Promise<FaultyRedis> {
  const first = await startStoppable(PERSISTENT)
  const second = await startStoppable({ ...PERSISTENT, replicaof: `127.0.0.1 ${first.current.port}` })
  const servers = [first, second]
  const sentinels = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const started = await startSentinel(first.current.port, 3000)
      return startStoppable({}, started, `${started.folder}/sentinel.conf`)
    })
  )
  const mayFailOverAfter = (ms: number): void =>
    setDownAfter(
      sentinels.map(({ current }) => current),
      ms
    )
  const proxies = await Promise.all(sentinels.map(({ current }) => startTcpProxy(current.port)))
  /** Of the sentinels that reply. */
  const masterPorts = async (): Promise<readonly number[]> => {
    const ask = async (client: Redis): Promise<number> => {
      const address = await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER)
      return Array.isArray(address) ? Number(address[1]) : 0
    }
    const asked = await Promise.allSettled(sentinels.map(sentinel => sentinel.ask(ask)))
    return asked.flatMap(reply => (reply.status === 'fulfilled' ? [reply.value] : []))
  }
  /** @returns 0 unless all sentinels agree */
  const masterPort = async (): Promise<number> => {
    const ports = await masterPorts()
    const [port = 0] = ports
    return ports.length === sentinels.length && ports.every(other => other === port) ? port : 0
  }
  const master = async (): Promise<StoppableServer> => {
    const ports = await masterPorts()
    return servers.find(({ current }) => ports.includes(current.port)) ?? first
  }
  const healthy = async (): Promise<boolean> => {
    const port = await masterPort()
    const replica = servers.find(({ current }) => current.port !== port)
    const info = await replica?.ask(client => client.info('replication')).catch(() => '')
    return new RegExp(`master_port:${port}\\b[^]*master_link_status:up`).test(info ?? '')
  }
  const nodes = proxies.map(({ port }) => ({ host: '127.0.0.1', port }))
  const redis = new Redis({ sentinels: nodes, name: MASTER })
  redis.on('error', () => {})
  await until('the set is complete', healthy, HEAL_MS)
  await until('the sentinels know each other', async () => {
    const views = await Promise.all(
      sentinels.map(s => s.current.client.call('SENTINEL', 'SENTINELS', MASTER))
    )
    return views.every(view => Array.isArray(view) && view.length === 2)
  })
  return {
    env: { REDIS_SENTINELS: nodes.map(({ port }) => `127.0.0.1:${port}`).join(',') },
    connection: { redis },
    faults: {
      ...proxyFaults('network to the sentinels', proxies),
      'master frozen': async () => {
        mayFailOverAfter(500)
        await (await master()).freeze()
      },
      'master killed': async () => {
        mayFailOverAfter(500)
        await (await master()).kill()
      },
      'a sentinel frozen': () => random.pick(sentinels).freeze(),
      'a sentinel killed': () => random.pick(sentinels).kill(),
      'failover by command': () =>
        random
          .pick(sentinels)
          .ask(client => client.call('SENTINEL', 'FAILOVER', MASTER))
          .catch(() => {})
    },
    heal: async () => {
      await Promise.all(sentinels.map(sentinel => sentinel.start()))
      await Promise.all(proxies.map(proxy => proxy.set('forwarding')))
      // A server that came back too early would be a second master.
      if (servers.some(({ isDown }) => isDown)) await until('a master is known', masterPort, HEAL_MS)
      const port = await masterPort()
      for (const server of servers) {
        const isReplica = port !== 0 && server.current.port !== port
        await server.start({ replicaof: isReplica ? `127.0.0.1 ${port}` : 'no one' })
      }
      await until('a master with its replica', healthy, HEAL_MS)
      mayFailOverAfter(NEVER_DOWN_MS)
    },
    stop: async () => {
      redis.disconnect()
      await Promise.all(proxies.map(proxy => proxy.close()))
      await Promise.all([...servers, ...sentinels].map(({ current }) => current.stop('SIGKILL')))
    }
  }
}

export async function startFaultyCluster(random: Random): Promise<FaultyRedis> {
  const nodes = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const proxy = await startTcpProxy(0)
      const server = await startStoppable({
        ...PERSISTENT,
        'cluster-enabled': 'yes',
        'cluster-port': String(await freePort()),
        'cluster-node-timeout': '2000',
        // Clients come through the proxy, the other nodes do not.
        'cluster-announce-port': String(proxy.port)
      })
      proxy.forwardTo(server.current.port)
      return { proxy, server }
    })
  )
  const proxies = nodes.map(({ proxy }) => proxy)
  const servers = nodes.map(({ server }) => server)
  await createCluster(servers.map(({ current }) => current.port))
  const healthy = async (): Promise<boolean> => {
    const state = async (client: Redis): Promise<string> =>
      `${await client.cluster('INFO')}${await client.cluster('NODES')}`
    const states = await Promise.all(servers.map(server => server.ask(state))).catch(() => ['fail'])
    return states.every(
      state => state.includes('cluster_state:ok') && !/fail\b/.test(state.replace(/_\w*fail:/g, ''))
    )
  }
  await until('the cluster is up', healthy, HEAL_MS)
  const redis = new Cluster(proxies.map(({ port }) => ({ host: '127.0.0.1', port })))
  redis.on('error', () => {})
  const current = (): readonly TestRedis[] => servers.map(server => server.current)
  return {
    env: { REDIS_CLUSTER_NODES: proxies.map(({ port }) => `127.0.0.1:${port}`).join(','), PARTITIONS: '6' },
    connection: { redis },
    faults: {
      ...proxyFaults('network', proxies),
      ...proxyFaults('network of one master', [random.pick(proxies)]),
      'a master frozen': () => random.pick(servers).freeze(),
      'a master killed': () => random.pick(servers).kill(),
      'all frozen': () => Promise.all(servers.map(server => server.freeze())),
      'all killed': () => Promise.all(servers.map(server => server.kill())),
      'a slot moved': async () => {
        if (await healthy()) await moveSlot(current(), `cio:events:{${random.whole(0, 6)}}`, random)
      }
    },
    heal: async () => {
      await Promise.all(servers.map(server => server.start()))
      await Promise.all(proxies.map(proxy => proxy.set('forwarding')))
      await until('the cluster is up', healthy, HEAL_MS)
    },
    stop: async () => {
      redis.disconnect()
      await Promise.all(proxies.map(proxy => proxy.close()))
      await Promise.all(servers.map(server => server.current.stop('SIGKILL')))
    }
  }
}
