import { httpConsumer, natsConsumer } from '../../test/helpers/consumers-file.ts'
import { startNats } from '../../test/helpers/nats.ts'
import { startRabbit } from '../../test/helpers/rabbitmq.ts'
import { startRedis, type TestRedis } from '../../test/helpers/redis.ts'
import { CONSUMER } from './log.ts'
import type { ReceiverKind } from './receiver.ts'

export const CONCURRENCY = 50

/** A kind of consumer that is measured. */
export interface Kind {
  readonly name: Exclude<ReceiverKind, 'hung'>
  readonly title: string
  /** Of its broker or of Redis, for its receiver. */
  readonly address: string
  /** @returns its entry in CONSUMERS_FILE; none for the library, whose receiver reads the log itself */
  consumers(url: string): readonly Record<string, unknown>[]
}

export interface Servers {
  readonly redis: TestRedis
  readonly kinds: readonly Kind[]
  stop(): Promise<void>
}

/** Starts Redis, and the brokers if they are needed. */
export async function startServers(withBrokers: boolean): Promise<Servers> {
  const redis = await startRedis({ appendonly: 'yes' })
  const [nats, rabbit] = withBrokers ? [await startNats(), await startRabbit()] : []
  const library: Kind = { name: 'library', title: 'library', address: redis.url, consumers: () => [] }
  const http: Kind = {
    name: 'http',
    title: 'HTTP push',
    address: '',
    consumers: url => [httpConsumer(CONSUMER, url, { concurrency: CONCURRENCY })]
  }
  const kinds: Kind[] = [library, http]
  if (nats !== undefined) {
    const { url } = nats
    kinds.push({ name: 'nats', title: 'NATS', address: url, consumers: () => [natsConsumer(CONSUMER, url)] })
  }
  if (rabbit !== undefined) {
    const { url } = rabbit
    const consumer = { name: CONSUMER, type: 'amqp', url, exchange: 'cio' }
    kinds.push({ name: 'amqp', title: 'RabbitMQ', address: url, consumers: () => [consumer] })
  }
  return {
    redis,
    kinds,
    stop: async () => {
      await rabbit?.stop()
      await nats?.stop()
      await redis.stop('SIGKILL')
    }
  }
}
