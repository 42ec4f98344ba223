import type { ConsumerStatus } from '../../dispatch/consumer-status.ts'
import type { DeliveryStats, LastDelivery, SourceStats } from '../../receive/delivery-stats.ts'
import type { ReplicaReport } from '../../receive/key-usage-reporter.ts'
import type { MemoryUsage } from '../../redis/memory.ts'
import type { ServerFacts } from '../../redis/server-facts.ts'
import type { Configuration } from '../../settings/describe.ts'
import type { StoredCheck } from '../connect/stored-check.ts'
import type { RemovedConsumer } from '../consumers/removed-consumers.ts'

/** One screen about a running service, from the environment and from Redis. Times are Unix milliseconds. */
export interface StatusReport extends StatusFacts {
  readonly problems: readonly Problem[]
}

/** A problem, what follows from it, and what to do. */
export interface Problem {
  readonly id: string
  readonly severity: 'error' | 'warning'
  /** In one sentence. */
  readonly summary: string
  readonly consequence: string
  /** A command or a setting. */
  readonly fix: string
}

/** What was read. The parts from Redis are empty or `undefined` while it is down. */
export interface StatusFacts {
  readonly atMs: number
  /** Of the program that prints this; the replicas have their own. */
  readonly version: string
  readonly production: boolean
  readonly configuration: Configuration
  readonly settings: {
    /** `EVENT_MAX_LENGTH`, per partition. */
    readonly maxLength: number
    readonly trustsProxies: boolean
    readonly addressPolicy: 'enforce' | 'report'
  }
  readonly redis: RedisStatus
  readonly sources: readonly SourceStatus[]
  /** Of the last hour. */
  readonly deliveries: Pick<DeliveryStats, 'outcomes' | 'unavailable' | 'durationMs' | 'eventAgeSeconds'>
  /** Events per hour, from the last day. */
  readonly eventsPerHour: number
  readonly partitions: readonly PartitionStatus[]
  readonly consumers: readonly ConsumerStatus[]
  /** Those that were removed before their dead letters were dropped. */
  readonly removedConsumers: readonly RemovedConsumer[]
  readonly parked: number
  readonly replicas: readonly ReplicaReport[]
  /** The reporting webhooks at Customer.io, as checked within the last hour. */
  readonly webhooks: readonly StoredCheck['checks'][number][]
  /** The last list from Customer.io; `undefined` without an App API key, or before the first answer. */
  readonly publishedAddresses:
    | { readonly count: number; readonly atMs: number; readonly addresses: readonly string[] }
    | undefined
}

export type RedisStatus =
  | { readonly state: 'down'; readonly address: string; readonly cause: string }
  /** None is configured, and no service runs with one of its own. */
  | { readonly state: 'none' }
  | {
      readonly state: 'up'
      readonly address: string
      readonly server: ServerFacts
      /** Of the fullest server; `undefined` without `maxmemory`. */
      readonly memory: MemoryUsage | undefined
      /** Of one PING. */
      readonly latencyMs: number
      /** Estimated from the newest partition; `undefined` if it is not known. */
      readonly bytesPerEvent: number | undefined
    }

export interface SourceStatus {
  readonly name: string
  readonly lastHour: SourceStats
  /** Of the last day, to compare. */
  readonly lastDay: SourceStats
  readonly last: LastDelivery | undefined
  /** Ids of the configured keys, if they can be read. */
  readonly currentKey: string | undefined
  readonly previousKey: string | undefined
}

export interface PartitionStatus {
  readonly partition: number
  readonly events: number
  readonly oldestAtMs: number | undefined
  readonly newestAtMs: number | undefined
}
