import { hash } from 'node:crypto'
import { bucketKeysOf, formatGenerations, memberField } from '../../src/log/dedupe-index.ts'
import { partitionKeys } from '../../src/log/keys.ts'
import { partitionOf, publishPartitionCount } from '../../src/log/partition.ts'
import { digestsOfId } from '../../src/receive/event-id.ts'
import type { RedisClient } from '../../src/redis/connect.ts'

/** A log as it is after weeks: events of the size and the fields of sanitized events of Customer.io, one per second. */
export interface History {
  readonly events: number
  readonly partitions: number
  /** When the first event happened, unix milliseconds. */
  readonly startMs: number
}

const CUSTOMERS = 20_000
const BATCH = 2000
const DAY_MS = 24 * 60 * 60 * 1000
const EVENTS_PER_BUCKET = 48
const DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** The history ends now. */
export const historyOf = (events: number, partitions: number): History => ({
  events,
  partitions,
  startMs: Date.now() - events * 1000
})

/** Id of an event by its number: a ULID of its time; of odd numbers an id that is not of Customer.io. */
export function idOf({ startMs }: History, number: number): string {
  if (number % 2 === 1) return `other-${number}`
  let digits = ''
  for (let left = startMs + Math.floor(number) * 1000; digits.length < 10; left = Math.floor(left / 32)) {
    digits = `${DIGITS[left % 32]}${digits}`
  }
  return `${digits}0000${String(Math.floor(Math.abs(number))).padStart(12, '0')}`
}

/** Appends the whole history, and writes the dedupe index as the service would have. */
export async function loadHistory(client: RedisClient, history: History): Promise<void> {
  const { events, partitions, startMs } = history
  // As many buckets as a generation of this size would have.
  const buckets = 2 ** Math.max(0, Math.ceil(Math.log2(events / partitions / EVENTS_PER_BUCKET)))
  const generations = [{ number: 1, buckets, openedAtMs: startMs - DAY_MS }]
  await publishPartitionCount(client, 'cio:', partitions)
  await client.hset('cio:sources', 'default', startMs - DAY_MS)
  for (let partition = 0; partition < partitions; partition++) {
    await client.set(partitionKeys('cio:', partition).generations, formatGenerations(generations))
  }
  for (let first = 0; first < events; first += BATCH) {
    for (let number = first; number < first + BATCH; number++) {
      const customer = String((number * 7919) % CUSTOMERS)
      const keys = partitionKeys('cio:', partitionOf(customer, partitions))
      const [digest = ''] = digestsOfId(idOf(history, number), 'default').digests
      const [bucket = ''] = bucketKeysOf(keys, generations, digest)
      void client.hset(bucket, memberField(digest), '')
      const type = `io.customer.email.${['sent', 'delivered', 'opened', 'clicked', 'converted'][number % 5]}`
      const id = `${startMs + number * 1000 + 2000}-*`
      void client.xadd(keys.events, id, 'type', type, 'event', eventOf(history, number, customer, type))
    }
    await client.ping()
  }
}

function eventOf(history: History, number: number, customer: string, type: string): string {
  const { startMs } = history
  const email_hash = hash('sha256', `customer-${customer}`)
  const time = new Date(startMs + number * 1000).toISOString()
  return JSON.stringify({
    specversion: '1.0',
    id: idOf(history, number),
    source: '/customerio/default',
    type,
    subject: customer,
    time,
    receivedtime: time,
    datacontenttype: 'application/json',
    data: {
      data: {
        action_id: 42,
        campaign_id: 9,
        content_id: 1146,
        customer_id: customer,
        delivery_id: hash('sha256', String(number)).slice(0, 40),
        identifiers: { cio_id: `d9c106${customer.padStart(8, '0')}`, email_hash, id: customer },
        parent_action_id: 96,
        recipient_hash: email_hash,
        subject: '[REDACTED]'
      },
      event_id: idOf(history, number),
      metric: type.split('.')[3],
      object_type: 'email',
      timestamp: Math.floor(startMs / 1000) + number
    }
  })
}
