import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { type Backoff, backoffMs } from '../async/backoff.ts'
import type { RedisLogin } from '../settings/config.ts'
import type { RedisAddress } from '../settings/redis-address.ts'
import { parseRedisUrl } from '../settings/redis-url.ts'
import { keepDatabase } from './database.ts'
import { isCluster } from './is-cluster.ts'

export type RedisClient = Redis | Cluster

/** The servers that hold the data: one, or a Cluster's masters as far as they are known. */
export const mastersOf = (redis: RedisClient): readonly Redis[] =>
  isCluster(redis) ? redis.nodes('master') : [redis]
/**
 * How long a command may take before its outcome counts as unknown. Customer.io hangs up after 4 s and we
 * answer within 3.5, so a command, plus one retry over a script the server forgot, has to fit in there.
 */
export const COMMAND_TIMEOUT_MS = 2000

/** Soon, since the sender is waiting, but not in a tight loop. */
const RECONNECT: Backoff = { firstMs: 100, maxMs: 1000 }
export const reconnectDelayMs = (attempt: number): number => backoffMs(RECONNECT, attempt)

/**
 * Never queues while offline and never sends again after a reconnect: an answer that did not come is an outcome
 * nobody knows, and only the sender's retry, met by the remembered id, may repeat it.
 */
const failFastOptions = {
  connectTimeout: COMMAND_TIMEOUT_MS,
  commandTimeout: COMMAND_TIMEOUT_MS,
  // A peer that vanished without a goodbye is noticed here, not by TCP after a quarter of an hour.
  socketTimeout: 2 * COMMAND_TIMEOUT_MS,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  retryStrategy: reconnectDelayMs,
  // After a failover behind one address the old master answers READONLY: find the new one, resend nothing.
  reconnectOnError: error => error.message.startsWith('READONLY'),
  connectionName: 'cio-webhook'
} satisfies RedisOptions

const { commandTimeout: _, ...withoutCommandTimeout } = failFastOptions

/**
 * Waits as long as it takes, and sends again after a reconnect: for BullMQ, which blocks for seconds on purpose
 * and whose every command may be repeated. A server that fell silent is noticed all the same.
 */
const blockingOptions = {
  ...withoutCommandTimeout,
  socketTimeout: 30_000,
  enableOfflineQueue: true,
  autoResendUnfulfilledCommands: true,
  maxRetriesPerRequest: null,
  connectionName: 'cio-webhook-queue'
} satisfies RedisOptions

/**
 * Opens a connection to a standalone Redis, to a master behind Sentinel, or to a Cluster. It connects by itself
 * and keeps trying; `error` events are the caller's to log.
 */
export function connectRedis(
  address: RedisAddress,
  profile: 'fail-fast' | 'blocking' = 'fail-fast'
): RedisClient {
  const options = profile === 'fail-fast' ? failFastOptions : blockingOptions
  if (address.kind === 'standalone') {
    return keepDatabase(new Redis({ ...options, ...serverOptions(address.url.reveal()) }))
  }
  const login = loginOptions(address.login)
  if (address.kind === 'sentinel') {
    return new Redis({
      ...options,
      ...login,
      sentinels: [...address.nodes],
      name: address.master,
      enableTLSForSentinelMode: address.login.tls,
      sentinelRetryStrategy: reconnectDelayMs,
      failoverDetector: true
    })
  }
  const { retryStrategy: _retry, enableOfflineQueue, ...redisOptions } = { ...options, ...login }
  return new Cluster([...address.nodes], {
    redisOptions,
    enableOfflineQueue: enableOfflineQueue === true,
    clusterRetryStrategy: reconnectDelayMs,
    clusterNodeRetryStrategy: reconnectDelayMs,
    slotsRefreshTimeout: COMMAND_TIMEOUT_MS,
    slotsRefreshInterval: 5000,
    // Redirections are cheap and safe (nothing ran yet); waiting for a cluster that is down is the sender's part.
    maxRedirections: 5,
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: 50
  })
}

/**
 * Another connection to where `redis` goes, with the behaviour of those above and without the original's key
 * prefix: every name here has its own.
 */
export function duplicateConnection(redis: RedisClient): RedisClient {
  const own = { ...failFastOptions, keyPrefix: '', lazyConnect: false }
  if (!isCluster(redis)) return keepDatabase(redis.duplicate(own))
  const { retryStrategy, enableOfflineQueue, ...redisOptions } = own
  return redis.duplicate([], {
    redisOptions,
    enableOfflineQueue,
    keyPrefix: '',
    lazyConnect: false,
    clusterRetryStrategy: retryStrategy
  })
}

/**
 * Ends a connection for good. ioredis' Cluster takes a `disconnect` back when it comes while a first question of
 * its own is under way (what its slots are, whether it is ready): it is there again then, or its timer stays, and
 * either would keep the process. Seen with ioredis 6.0.
 */
export function disconnectRedis(redis: RedisClient): void {
  const disconnect = (): void => redis.disconnect()
  redis.on('connect', disconnect)
  redis.on('ready', disconnect)
  disconnect()
}

function loginOptions({ username, password, tls }: RedisLogin) {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password: password.reveal() }),
    ...(tls ? { tls: {} } : {})
  }
}

/** @param url a Redis URL, or the path of the private server's unix socket */
function serverOptions(url: string) {
  if (url.startsWith('/')) return { path: url }
  const server = parseRedisUrl(url)
  if ('problem' in server) throw new TypeError(server.problem)
  const { host, port, tls, username, password, database } = server
  return {
    host,
    port,
    db: database,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls ? { tls: {} } : {})
  }
}
