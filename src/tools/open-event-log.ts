// Tested by test/cli/consumers/parked.slow.test.ts and test/cli/reconcile/command.slow.test.ts.
import { createEventLog, type EventLog } from '../log/append.ts'
import { keptMessageIndex, type MessageIndex } from '../log/message-index.ts'
import { readPartitionCount } from '../log/partition.ts'
import type { RedisClient } from '../redis/connect.ts'
import { durabilityWaits } from '../redis/durability.ts'
import { inspectServers } from '../redis/server-facts.ts'
import type { Config } from '../settings/config.ts'

/** The log of a running service, for a command that appends to it. */
interface OpenEventLog {
  readonly eventLog: EventLog
  /** `undefined` if the service keeps none. */
  readonly messageIndex: MessageIndex | undefined
  close(): void
}

/** Opens the log with the durability of the service. @throws the error of Redis */
export async function openEventLog(
  redis: RedisClient,
  { keyPrefix, maxLength, durability }: Config['log'],
  hashKey: Config['hashKey']
): Promise<OpenEventLog> {
  const facts = await inspectServers(redis)
  const messageIndex = await keptMessageIndex(redis, keyPrefix, hashKey)
  const partitions = await readPartitionCount(redis, keyPrefix)
  const waits = durabilityWaits(redis, durability, () => facts)
  const eventLog = createEventLog({
    redis,
    keyPrefix,
    partitions,
    maxLength,
    messageIndex,
    durabilityWait: waits?.of,
    isRedisUp: () => true
  })
  return { eventLog, messageIndex, close: () => waits?.close() }
}
