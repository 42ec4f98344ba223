// Tested by test/dispatch/dispatcher.slow.test.ts.
import type { AmqpSettings, NatsSettings } from '../settings/consumers-file.ts'
import type { Sink } from './sink.ts'
import { createAmqpSink } from './sinks/amqp.ts'
import { createNatsSink } from './sinks/nats.ts'

/** The sink of a consumer. Opens no connection to the broker before the first event. */
export const createSink = (settings: NatsSettings | AmqpSettings): Sink =>
  settings.type === 'nats' ? createNatsSink(settings) : createAmqpSink(settings)
