import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { connect as connectNats } from '@nats-io/transport-node'
import { connect as connectAmqp } from 'amqplib'
import { createConsumer } from '../../src/consume/consumer.ts'
import { appendedUs, CONSUMER } from './log.ts'

/*
 * The receiving end of a consumer, in a process of its own so that its CPU time is not counted as the service's.
 * Arguments: the kind of consumer and the address of its broker, or of Redis. Sends its URL to the parent process once
 * it is ready. Then it answers each message: `seen <count>` with the events received since the last one, as soon as there
 * are so many, `pause` and `resume` of the library with an empty message.
 */

export type ReceiverKind = 'library' | 'http' | 'nats' | 'amqp' | 'hung'

export interface Seen {
  /** Milliseconds from an event's entry in the log to its arrival, in order of arrival. */
  readonly ages: readonly number[]
  /** From the first to the last arrival. */
  readonly seconds: number
}

interface Receiver {
  readonly url?: string
  pause?(): Promise<void>
  resume?(): Promise<void>
}

const ARRIVAL_TIMEOUT_MS = 30_000
const ARRIVAL_POLL_MS = 5

let ages: number[] = []
let [firstUs, lastUs] = [0, 0]

function arrived(sentUs: number): void {
  lastUs = Number(process.hrtime.bigint() / 1000n)
  if (ages.length === 0) firstUs = lastUs
  ages.push((lastUs - sentUs) / 1000)
}

/** A broker confirms an event before the receiver has it. Gives up after a time: the caller compares the count. */
async function untilArrived(count: number): Promise<void> {
  const deadline = performance.now() + ARRIVAL_TIMEOUT_MS
  while (ages.length < count && performance.now() < deadline) {
    await new Promise(resolve => setTimeout(resolve, ARRIVAL_POLL_MS))
  }
}

const receivers: Readonly<Record<ReceiverKind, (address: string) => Promise<Receiver>>> = {
  async library(redisUrl) {
    const open = () =>
      createConsumer({ redisUrl, group: CONSUMER, concurrency: 50 }, async ({ data }) =>
        arrived('appendedUs' in data ? Number(data['appendedUs']) : Number.NaN)
      )
    let consumer = open()
    await consumer.start()
    return {
      pause: () => consumer.stop(),
      resume: async () => {
        consumer = open()
        await consumer.start()
      }
    }
  },
  http: () => listen(true),
  async nats(servers) {
    const connection = await connectNats({ servers })
    connection.subscribe('cio.>', { callback: (_error, message) => arrived(appendedUs(message.string())) })
    await connection.flush()
    return {}
  },
  async amqp(url) {
    const channel = await (await connectAmqp(url)).createChannel()
    await channel.assertExchange('cio', 'topic', { durable: true })
    const { queue } = await channel.assertQueue('all', { durable: true })
    await channel.bindQueue(queue, 'cio', '#')
    await channel.consume(
      queue,
      message => {
        if (message !== null) arrived(appendedUs(message.content.toString()))
      },
      { noAck: true }
    )
    return {}
  },
  hung: () => listen(false)
}

async function listen(answers: boolean): Promise<Receiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', chunk => chunks.push(chunk))
    request.on('end', () => {
      if (!answers) return
      arrived(appendedUs(Buffer.concat(chunks).toString()))
      response.writeHead(204).end()
    })
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/events` }
}

const [, , kind, address = ''] = process.argv
const receiver = await receivers[kind as ReceiverKind](address)
process.on('message', async message => {
  const [verb, count] = String(message).split(' ')
  if (verb === 'pause') await receiver.pause?.()
  if (verb === 'resume') await receiver.resume?.()
  if (verb === 'seen') await untilArrived(Number(count))
  const seen: Seen = { ages, seconds: (lastUs - firstUs) / 1e6 }
  ages = []
  process.send?.(seen)
})
process.on('disconnect', () => process.exit())
process.send?.(receiver.url ?? '')
