import { Cluster, Redis } from 'ioredis'
import { moveSlot } from '../faults/slots.ts'
import { createCluster, MASTER, NEVER_DOWN_MS, setDownAfter, startSentinel } from './cluster.ts'
import type { Random } from './random.ts'
import { startRedis, type TestRedis } from './redis.ts'
import { freePort, freeze, temporaryFolder, until } from './server.ts'
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

/** A server that can be stopped and started again with the same data. */
interface Server {
  current: TestRedis
  isDown: boolean
  readonly freeze: () => Promise<void>
  readonly kill: () => Promise<void>
  /** @param settings in addition to the first ones */
  readonly start: (settings?: Readonly<Record<string, string>>, port?: number) => Promise<void>
}

async function startServer(
  settings: Readonly<Record<string, string>>,
  started?: TestRedis,
  sentinel?: string
): Promise<Server> {
  const folder = started?.folder ?? temporaryFolder()
  const server: Server = {
    current: started ?? (await startRedis(settings, { folder })),
    isDown: false,
    freeze: async () => {
      if (!server.isDown) await freeze(server.current)
    },
    kill: async () => {
      if (!server.isDown) await server.current.stop('SIGKILL')
      server.isDown = true
    },
    start: async (more, port = server.current.port) => {
      if (!server.isDown) return void server.current.process.kill('SIGCONT')
      const own = sentinel === undefined ? {} : { sentinel }
      server.current = await startRedis({ ...settings, ...more }, { folder, port, ...own })
      server.isDown = false
    }
  }
  return server
}

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
  const server = await startServer(settings)
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
      'server is a replica': () => server.current.client.replicaof('127.0.0.1', 1).catch(() => {})
    },
    heal: async () => {
      await restarting
      await server.start()
      await proxy.set('forwarding')
      await until('a master', () => server.current.client.replicaof('NO', 'ONE').catch(() => false), HEAL_MS)
    },
    stop: async () => {
      await proxy.close()
      await server.current.stop('SIGKILL')
    }
  }
}

export async function startFaultySentinel(random: Random): Promise<FaultyRedis> {
  const first = await startServer(PERSISTENT)
  const second = await startServer({ ...PERSISTENT, replicaof: `127.0.0.1 ${first.current.port}` })
  const servers = [first, second]
  const sentinels = await Promise.all(
    Array.from({ length: 3 }, async () => {
      const started = await startSentinel(first.current.port, 3000)
      return startServer({}, started, `${started.folder}/sentinel.conf`)
    })
  )
  const mayFailOverAfter = (ms: number): void =>
    setDownAfter(
      sentinels.map(({ current }) => current),
      ms
    )
  const proxies = await Promise.all(sentinels.map(({ current }) => startTcpProxy(current.port)))
  const masterPort = async (): Promise<number> => {
    const asked = await Promise.all(
      sentinels.map(({ current }) =>
        (current.client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', MASTER) as Promise<string[]>).catch(
          () => []
        )
      )
    )
    const [port, ...others] = asked.map(([, port]) => Number(port))
    return port !== undefined && others.every(other => other === port) ? port : 0
  }
  const master = async (): Promise<Server> => {
    const port = await masterPort()
    return servers.find(({ current }) => current.port === port) ?? first
  }
  const healthy = async (): Promise<boolean> => {
    const port = await masterPort()
    const replica = servers.find(({ current }) => current.port !== port)
    const info = await replica?.current.client.info('replication').catch(() => '')
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
          .current.client.call('SENTINEL', 'FAILOVER', MASTER)
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
      const server = await startServer({
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
    const states = await Promise.all(
      servers.map(
        async ({ current: { client } }) => `${await client.cluster('INFO')}${await client.cluster('NODES')}`
      )
    ).catch(() => ['fail'])
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
