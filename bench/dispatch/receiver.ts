import { connect as connectNats } from '@nats-io/transport-node'
import { connect as connectAmqp } from 'amqplib'
import { createConsumer } from '../../src/consume/consumer.ts'
import { startReceiver } from '../../test/helpers/receiver.ts'

/*
 * The receiving end of a consumer, in a process of its own so that its CPU time is not counted as the service's.
 * Arguments: the kind of consumer and the address of its broker. Sends its URL to the parent process once it listens,
 * and answers each message with the events received since the last one.
 */

export type Way = 'library' | 'http' | 'nats' | 'amqp' | 'hung'

export interface Seen {
  /** Milliseconds from an event's entry in the log to its arrival, in order of arrival. */
  readonly ages: readonly number[]
  readonly cpuSeconds: number
  readonly rssMb: number
}

let ages: number[] = []
const arrived = (event: { receivedtime: string }): void => {
  ages.push(Date.now() - Date.parse(event.receivedtime))
}

/** @returns the URL to push to, or '' */
const ways: Readonly<Record<Way, (address: string) => Promise<string>>> = {
  async library(redisUrl) {
    const consumer = createConsumer({ redisUrl, group: 'way', concurrency: 50 }, async event =>
      arrived(event)
    )
    await consumer.start()
    return ''
  },
  async http() {
    const receiver = await startReceiver((request, response) => {
      arrived(JSON.parse(request.body))
      response.writeHead(204).end()
    })
    return receiver.url
  },
  async nats(servers) {
    const connection = await connectNats({ servers })
    connection.subscribe('cio.>', { callback: (_error, message) => arrived(message.json()) })
    await connection.flush()
    return ''
  },
  async amqp(url) {
    const channel = await (await connectAmqp(url)).createChannel()
    await channel.assertExchange('cio', 'topic', { durable: true })
    const { queue } = await channel.assertQueue('all', { durable: true })
    await channel.bindQueue(queue, 'cio', '#')
    await channel.consume(
      queue,
      message => {
        if (message !== null) arrived(JSON.parse(message.content.toString()))
      },
      { noAck: true }
    )
    return ''
  },
  async hung() {
    const receiver = await startReceiver(() => {}, 0, { keeps: false })
    return receiver.url
  }
}

const [, , way, address = ''] = process.argv
const url = await ways[way as Way](address)
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  const seen: Seen = { ages, cpuSeconds: (user + system) / 1e6, rssMb: process.memoryUsage.rss() / 1e6 }
  ages = []
  process.send?.(seen)
})
process.on('disconnect', () => process.exit())
process.send?.(url)
