import { makeSmallDisk } from '../../faults/disk.ts'
import { startSentinelSet } from '../../faults/sentinels.ts'
import { freePort, freeze } from '../../helpers/server.ts'
import { type Fault, rises } from '../fault.ts'
import type { World } from '../world.ts'

const UNAVAILABLE = /^cio_deliveries_total\{.*outcome="unavailable"/
const redisUp = { series: /^cio_redis_up/, shows: (now: number) => now === 0 }
/** For causes that Redis names at once. */
const SOON = { limitSeconds: 10 }
const AGAIN = /Redis is up again/

const startPersistent = async (world: World): Promise<void> => {
  await world.startRedis({ appendonly: 'yes' })
  await world.start()
}

export const redisFaults: readonly Fault[] = [
  {
    name: 'Redis is unreachable',
    section: 'CioRedisDown',
    log: { names: /cannot reach Redis at \S+.*: ECONNREFUSED/, over: AGAIN },
    metric: redisUp,
    status: { id: 'redis_down', says: /ECONNREFUSED/ },
    commandsPrint: /"redisCause": "ECONNREFUSED/,
    ...SOON,
    prepare: async world => {
      await startPersistent(world)
      return {
        begin: () => world.redis().stop('SIGKILL'),
        repair: () => world.startRedis({ appendonly: 'yes' })
      }
    }
  },
  {
    name: 'Redis hangs',
    section: 'CioRedisDown',
    log: { names: /cannot reach Redis at \S+.*: no answer to PING/, over: AGAIN },
    metric: redisUp,
    status: { id: 'redis_down', says: /no answer to PING/ },
    commandsPrint: /"redisCause": "no answer to PING/,
    ...SOON,
    prepare: async world => {
      await startPersistent(world)
      return {
        begin: () => freeze(world.redis()),
        repair: async () => world.redis().process.kill('SIGCONT')
      }
    }
  },
  {
    name: 'Redis is full',
    section: 'CioRedisFull',
    log: { names: /Redis is full and deliveries get 503/, over: /Redis has enough free memory again/ },
    metric: { series: /^cio_redis_memory_used_ratio/, shows: now => now >= 1 },
    status: { id: 'memory', says: /"severity":"error"/ },
    prepare: async world => {
      const redis = await world.startRedis({ 'maxmemory-policy': 'noeviction' })
      await redis.client.xgroup('CREATE', 'cio:events:{0}', 'unread', '0', 'MKSTREAM')
      await world.start()
      return {
        // Another program fills the rest.
        begin: async () => {
          await redis.client.set('other', 'x'.repeat(4 * 1024 * 1024))
          await redis.client.config('SET', 'maxmemory', '4mb')
        },
        // The command of the section gives Redis more memory.
        repair: async () => {}
      }
    }
  },
  {
    name: 'Redis is a read-only replica',
    section: 'redis_refuses',
    log: { names: /Redis at \S+ refuses to keep events: READONLY/ },
    metric: { series: UNAVAILABLE, shows: rises },
    status: { id: 'redis_refuses', says: /READONLY/ },
    commandsPrint: /"redisCause": "READONLY/,
    ...SOON,
    prepare: async world => {
      await startPersistent(world)
      return {
        begin: async () => world.redis().client.replicaof('127.0.0.1', await freePort()),
        repair: () => world.redis().client.replicaof('NO', 'ONE')
      }
    }
  },
  {
    name: 'The password of Redis is wrong',
    section: 'CioRedisDown',
    log: { names: /cannot reach Redis at \S+.*: WRONGPASS/, over: /Redis is up/ },
    metric: redisUp,
    status: { id: 'redis_down', says: /WRONGPASS/ },
    commandsPrint: /"redisCause": "WRONGPASS/,
    ...SOON,
    prepare: async world => {
      const redis = await world.startRedis()
      const withPassword = (password: string): string => redis.url.replace('//', `//:${password}@`)
      await redis.client.config('SET', 'requirepass', 'the-old-password')
      await redis.client.auth('the-old-password')
      await world.start({ REDIS_URL: withPassword('the-old-password') })
      return {
        begin: async () => {
          await redis.client.config('SET', 'requirepass', 'the-new-password')
          // Open connections keep their login.
          await redis.client.call('CLIENT', 'KILL', 'TYPE', 'normal')
        },
        repair: () => world.start({ REDIS_URL: withPassword('the-new-password') })
      }
    }
  },
  {
    name: 'Sentinel fails over',
    section: 'CioRedisDown',
    log: { names: /cannot reach Redis at \S+.*: /, over: AGAIN },
    metric: redisUp,
    // A command waits for the new master; then it sees the deliveries that got 503.
    status: { id: 'unavailable', lastHour: true },
    prepare: async world => {
      const set = await startSentinelSet()
      world.atEnd(set.stop)
      await world.start({ REDIS_SENTINELS: set.sentinels.join(',') })
      let failedOver: Promise<void> = Promise.resolve()
      return {
        begin: async () => {
          failedOver = set.failOver('SIGKILL')
        },
        repair: () => failedOver
      }
    }
  },
  {
    name: 'The disk of Redis is full',
    section: 'redis_refuses',
    log: { names: /cannot reach Redis at \S+.*: MISCONF/, over: AGAIN },
    metric: redisUp,
    // It answers PING with MISCONF too.
    status: { id: 'redis_down', says: /MISCONF/ },
    commandsPrint: /"redisCause": "MISCONF/,
    ...SOON,
    prepare: async world => {
      const disk = makeSmallDisk(16)
      world.atEnd(disk.remove)
      await world.startRedis({ appendonly: 'yes', appendfsync: 'everysec' }, { folder: disk.folder })
      await world.start()
      return {
        begin: async () => disk.fill(),
        repair: async () => disk.free()
      }
    }
  }
]
