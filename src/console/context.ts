import type { FastifyInstance } from 'fastify'
import type { Logger } from '../ops/logger.ts'
import type { RedisReport } from '../ops/redis-report.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { Config } from '../settings/config.ts'
import type { ConsoleSettings } from '../settings/console.ts'
import type { RedisAddress } from '../settings/redis-address.ts'
import type { Audit } from './audit.ts'
import type { LiveUpdates } from './live.ts'
import type { ConsoleStatus } from './status.ts'

/** What the service gives to its console. */
export interface ConsoleDependencies {
  readonly settings: ConsoleSettings
  readonly config: Pick<
    Config,
    | 'production'
    | 'admission'
    | 'log'
    | 'dispatch'
    | 'hashKey'
    | 'describe'
    | 'sources'
    | 'secrets'
    | 'dataDir'
    | 'customerIo'
  >
  readonly redis: RedisClient
  readonly redisAddress: RedisAddress
  readonly redisReport: Pick<RedisReport, 'problem'>
  readonly isRedisUp: () => boolean
  readonly log: Logger
  readonly now: () => number
}

/** What each page gets. */
export interface ConsoleContext extends ConsoleDependencies {
  readonly audit: Audit
  readonly live: LiveUpdates
  /** Opens a further connection, for BullMQ. The caller closes it. */
  readonly openBlocking: () => RedisClient
  /** The same as `cio-webhook status`, in bounded time. It rejects if a value in Redis cannot be read. */
  readonly status: () => Promise<ConsoleStatus>
}

/** Adds the routes of one page. Each route declares its access: `{ config: { access: 'viewer' } }`. */
export type ConsolePage = (app: FastifyInstance, context: ConsoleContext) => void
