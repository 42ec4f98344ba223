import type { Redis } from 'ioredis'
import { partitionKeys } from '../../src/log/keys.ts'
import { partitionOf } from '../../src/log/partition.ts'

/** Appends an event as the receiver would. @returns its id in the stream */
export async function appendEvent(
  redis: Pick<Redis, 'xadd'>,
  event: {
    readonly id: string
    readonly type?: string
    readonly subject?: string
    readonly data?: unknown
    readonly traceparent?: string
  },
  { keyPrefix = 'cio:', partitions = 1 } = {}
): Promise<string> {
  const { id, type = 'io.customer.email.opened', subject = id, data = {}, traceparent } = event
  const { events } = partitionKeys(keyPrefix, partitionOf(subject, partitions))
  const source = '/customerio/default'
  const text = JSON.stringify({ specversion: '1.0', id, source, type, subject, traceparent, data })
  return String(await redis.xadd(events, '*', 'type', type, 'event', text))
}
