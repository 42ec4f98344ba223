// Tested by test/log/retention.test.ts, test/log/memory-pressure.slow.test.ts and test/properties/unread.test.ts.
import type { EventLogOptions } from './log/append.ts'
import { readLogHold } from './log/log-hold.ts'
import { createMemoryRelief } from './log/memory-relief.ts'
import type { MessageIndex } from './log/message-index.ts'
import { createRetention } from './log/retention.ts'
import { createStreamLimits } from './log/stream-limits.ts'
import { createDropReport } from './ops/drop-report.ts'
import type { Logger } from './ops/logger.ts'
import { watchMemory } from './ops/memory-watch.ts'
import type { Metrics } from './ops/metrics.ts'
import type { RedisClient } from './redis/connect.ts'
import { memoryUsage } from './redis/memory.ts'
import type { Config } from './settings/config.ts'

interface MaintenanceOptions {
  readonly config: Config['log']
  readonly redis: RedisClient
  readonly messageIndex: MessageIndex | undefined
  readonly messageWindowMs: number
  readonly metrics: Metrics
  readonly log: Logger
}

/** Keeps the log within its limits. Any number of processes may do so at once. */
interface Maintenance {
  /** For appends to a full log: works without `start`. */
  readonly room: Required<Pick<EventLogOptions, 'trimForSpace' | 'memory' | 'onParked'>>
  start(): void
  stop(): Promise<void>
}

export function createMaintenance(options: MaintenanceOptions): Maintenance {
  const { config, redis, metrics, log } = options
  const { keyPrefix, partitions } = config
  const drops = createDropReport(metrics, log)
  const limits = createStreamLimits({
    ...config,
    redis,
    onDropped: drops.report,
    onError: error =>
      log.warn({ err: error }, 'limits of parked deliveries could not be enforced: the next run tries again')
  })
  const relief = createMemoryRelief({
    redis,
    keyPrefix,
    partitions,
    onTrimmed: events => metrics.trimmed('memory', events)
  })
  const retention = createRetention({
    ...config,
    redis,
    messageIndex: options.messageIndex,
    messageWindowMs: options.messageWindowMs,
    limits,
    onTrimmed: metrics.trimmed,
    onError: error => log.warn({ err: error }, 'retention run failed: the next one tries again')
  })
  const memoryWatch = watchMemory({
    usage: () => memoryUsage(redis),
    relieve: async () => {
      try {
        return await relief.relieve()
      } finally {
        await limits.enforce()
      }
    },
    readHold: () => readLogHold(redis, keyPrefix),
    onUsedRatio: metrics.redisMemory,
    log,
    now: () => performance.now()
  })
  return {
    room: {
      trimForSpace: retention.trimForSpace,
      memory: relief,
      onParked: limits.enforceParked
    },
    start: () => {
      retention.start()
      memoryWatch.start()
    },
    stop: async () => {
      await Promise.all([memoryWatch.stop(), relief.stop(), retention.stop()])
      drops.stop()
    }
  }
}
