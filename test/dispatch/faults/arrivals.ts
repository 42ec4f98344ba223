import { createRequire } from 'node:module'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect as connectNats } from '@nats-io/transport-node'
import { connect as connectAmqp } from 'amqplib'
import { Webhook } from 'standardwebhooks'
import { WEBHOOK_SECRET } from '../../helpers/consumers-file.ts'
import type { MemberProcess } from '../../helpers/member.ts'
import type { ReceivedRequest } from '../../helpers/receiver.ts'
import { CANARY } from './deliveries.ts'

/** An event as a consumer got it: its id outside the event, and the event as text. */
export interface Arrived {
  readonly id: string
  readonly event: string
}

/**
 * The CloudEvents project's own JSON schema, as its JavaScript SDK ships it: spec/json-schema of CloudEvents 1.0,
 * compiled by Ajv.
 */
const isCloudEvent = createRequire(import.meta.url)('cloudevents/dist/schema/v1.js') as (
  value: unknown
) => boolean
const webhook = new Webhook(WEBHOOK_SECRET)

/** @returns what is wrong with it; `undefined` if it is correct */
export function problemOf({ id, event }: Arrived): string | undefined {
  if (CANARY.test(event)) return `${id}: it contains personal data`
  const value: unknown = JSON.parse(event)
  if (!isCloudEvent(value)) return `${id}: the CloudEvents schema refuses it`
  if ((value as { readonly id: unknown }).id !== id) return `${id}: its id differs from that of the event`
  return undefined
}

/** The same for a push. Its signature is verified at once: later its timestamp would be too old. */
export function problemOfPush({ headers, body }: ReceivedRequest): string | undefined {
  const id = headers['webhook-id'] ?? ''
  try {
    webhook.verify(body, { ...headers })
  } catch {
    return `${id}: the signature is refused`
  }
  if (CANARY.test(JSON.stringify(headers))) return `${id}: its headers contain personal data`
  if (headers['content-type'] !== 'application/cloudevents+json; charset=utf-8')
    return `${id}: is not a CloudEvent`
  return problemOf({ id, event: body })
}

/** The events that members of a consumer group have reported as handled. */
export const handledBy = (members: readonly MemberProcess[]): Arrived[] =>
  members.flatMap(member =>
    member
      .lines()
      .flatMap(({ done, event }) => (done === undefined ? [] : [{ id: String(done), event: String(event) }]))
  )

export async function inStream(url: string, stream: string): Promise<Arrived[]> {
  const connection = await connectNats({ servers: url })
  try {
    const manager = await jetstreamManager(connection)
    const consumer = await manager.jetstream().consumers.get(stream)
    const { num_pending: pending } = await consumer.info()
    const arrived: Arrived[] = []
    if (pending === 0) return arrived
    for await (const message of await consumer.fetch({ max_messages: pending, expires: 30_000 })) {
      arrived.push({ id: message.headers?.get('Nats-Msg-Id') ?? '', event: message.string() })
      if (arrived.length === pending) break
    }
    return arrived
  } finally {
    await connection.close()
  }
}

/** Reads a queue and takes nothing out. */
export async function inQueue(url: string, queue: string): Promise<Arrived[]> {
  const connection = await connectAmqp(url)
  try {
    const channel = await connection.createChannel()
    const { messageCount } = await channel.checkQueue(queue)
    const arrived: Arrived[] = []
    if (messageCount === 0) return arrived
    await new Promise<void>(resolve => {
      void channel.consume(queue, message => {
        if (message === null) return
        arrived.push({ id: String(message.properties.messageId), event: message.content.toString() })
        if (arrived.length === messageCount) resolve()
      })
    })
    return arrived
  } finally {
    await connection.close()
  }
}

/** Declares an exchange, a queue, and that it wants everything. */
export async function bindQueue(url: string, name: string): Promise<void> {
  const connection = await connectAmqp(url)
  const channel = await connection.createChannel()
  await channel.assertExchange(name, 'topic', { durable: true })
  await channel.assertQueue(name, { durable: true })
  await channel.bindQueue(name, name, '#')
  await connection.close()
}
