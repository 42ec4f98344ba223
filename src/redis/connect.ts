// Tested by test/redis/faults.slow.test.ts, test/redis/disconnect.slow.test.ts and test/redis/topologies.slow.test.ts.
import type { Cluster, ClusterOptions, Redis, RedisOptions } from 'ioredis'
import { type Backoff, backoffMs } from '../async/backoff.ts'
import type { RedisAddress } from '../settings/redis-address.ts'
import { parseRedisUrl } from '../settings/redis-url.ts'
import { isCluster } from './is-cluster.ts'
import { closeForGood, LastingCluster, LastingRedis, startupNodesOf } from './lasting.ts'

export type RedisClient = Redis | Cluster

/** The servers that hold the data: one, or the known masters of a Cluster. */
export const mastersOf = (redis: RedisClient): readonly Redis[] =>
  isCluster(redis) ? redis.nodes('master') : [redis]

/**
 * After this time the outcome of a command counts as unknown. Deliveries are answered within 3.5 s, since Customer.io
 * closes the connection after 4 s.
 */
const COMMAND_TIMEOUT_MS = 2000

/** Soon, since the sender is waiting, but not in a tight loop. */
const RECONNECT: Backoff = { firstMs: 100, maxMs: 1000 }
export const reconnectDelayMs = (attempt: number): number => backoffMs(RECONNECT, attempt)

/**
 * Never queues commands while offline, and never sends one again after a reconnect. Without a reply the outcome is
 * unknown: only the sender's retry, which is deduplicated, may repeat it.
 */
const failFastOptions = {
  connectTimeout: COMMAND_TIMEOUT_MS,
  commandTimeout: COMMAND_TIMEOUT_MS,
  // Notices a peer that vanished without closing the connection. TCP would need a quarter of an hour.
  socketTimeout: 2 * COMMAND_TIMEOUT_MS,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  retryStrategy: reconnectDelayMs,
  // After a failover behind one address the old master replies READONLY: reconnect to the new one, resend nothing.
  reconnectOnError: error => error.message.startsWith('READONLY'),
  // While Redis is loading, ioredis would ask after its own estimate, up to 10 s.
  maxLoadingRetryTime: 1000,
  connectionName: 'cio-webhook'
} satisfies RedisOptions

const { commandTimeout: _, ...withoutCommandTimeout } = failFastOptions

/**
 * For BullMQ, whose blocking commands take seconds and may all be repeated: waits as long as necessary, and sends again
 * after a reconnect. BullMQ blocks on copies of it.
 */
const blockingOptions = {
  ...withoutCommandTimeout,
  enableOfflineQueue: true,
  autoResendUnfulfilledCommands: true,
  maxRetriesPerRequest: null,
  connectionName: 'cio-webhook-queue'
} satisfies RedisOptions

/**
 * Opens a connection to a standalone Redis, to a master behind Sentinel, or to a Cluster. It keeps reconnecting. The caller
 * listens to `error` events.
 */
export function connectRedis(
  address: RedisAddress,
  profile: 'fail-fast' | 'blocking' = 'fail-fast'
): RedisClient {
  const options = profile === 'fail-fast' ? failFastOptions : blockingOptions
  if (address.kind === 'standalone') {
    return new LastingRedis({ ...options, ...serverOptions(address.url.reveal()) })
  }
  const login = loginOptions(address.login.username, address.login.password?.reveal(), address.login.tls)
  if (address.kind === 'cluster') {
    return new LastingCluster([...address.nodes], clusterOptions({ ...options, ...login }))
  }
  return new LastingRedis({
    ...options,
    ...login,
    ...sentinelOptions,
    sentinels: [...address.nodes],
    name: address.master,
    enableTLSForSentinelMode: address.login.tls
  })
}

const sentinelOptions = {
  // A sentinel that accepts connections and never replies would be waited for without end.
  sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
  sentinelRetryStrategy: reconnectDelayMs,
  failoverDetector: true
} satisfies RedisOptions

function clusterOptions({
  retryStrategy,
  enableOfflineQueue,
  ...redisOptions
}: RedisOptions): ClusterOptions {
  return {
    redisOptions,
    enableOfflineQueue: enableOfflineQueue === true,
    clusterRetryStrategy: reconnectDelayMs,
    // A lost node is forgotten: the other nodes and the startup nodes know where its slots are now. While ioredis
    // reconnects to a node it keeps it, so that a Cluster with new addresses would never be found.
    clusterNodeRetryStrategy: null,
    slotsRefreshTimeout: COMMAND_TIMEOUT_MS,
    slotsRefreshInterval: 5000,
    retryDelayOnTryAgain: 50,
    // Redirections are cheap and safe, since nothing has run. Only BullMQ waits for a Cluster that is down: a delivery has
    // the sender's retry.
    ...(enableOfflineQueue === true
      ? { maxRedirections: 100, retryDelayOnFailover: 500, retryDelayOnClusterDown: 500 }
      : { maxRedirections: 5, retryDelayOnFailover: 0, retryDelayOnClusterDown: 0 })
  }
}

/** Another connection to the same Redis, with the profile `fail-fast` and without a key prefix of the client. */
export function duplicateConnection(redis: RedisClient): RedisClient {
  const own = { ...failFastOptions, keyPrefix: '', lazyConnect: false }
  if (!isCluster(redis)) {
    const sentinel = redis.options.sentinels == null ? {} : sentinelOptions
    return new LastingRedis({ ...redis.options, ...own, ...sentinel })
  }
  return new LastingCluster(startupNodesOf(redis), {
    ...redis.options,
    ...clusterOptions({ ...redis.options.redisOptions, ...own }),
    keyPrefix: '',
    lazyConnect: false
  })
}

/** Closes a connection for good, and the copies that BullMQ has made of it. */
export const disconnectRedis = (redis: RedisClient): void => closeForGood(redis)

/** @param url a Redis URL, or the path of the unix socket of the private Redis */
function serverOptions(url: string) {
  if (url.startsWith('/')) return { path: url }
  const server = parseRedisUrl(url)
  if ('problem' in server) throw new TypeError(server.problem)
  const { host, port, database } = server
  return { host, port, db: database, ...loginOptions(server.username, server.password, server.tls) }
}

const loginOptions = (username: string | undefined, password: string | undefined, tls: boolean) => ({
  ...(username === undefined ? {} : { username }),
  ...(password === undefined ? {} : { password }),
  ...(tls ? { tls: {} } : {})
})
