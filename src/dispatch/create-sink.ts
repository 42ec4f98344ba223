// Tested by test/dispatch/dispatcher.test.ts.
import type { ConsumerSettings } from '../settings/consumers-file.ts'
import type { Sink, SinkContext } from './sink.ts'
import { createAmqpSink } from './sinks/amqp.ts'
import { createHttpSink } from './sinks/http.ts'
import { createNatsSink } from './sinks/nats.ts'

/** The sink of a consumer. Opens no connection to the target before the first event. */
export function createSink(settings: ConsumerSettings, context: SinkContext): Sink {
  if (settings.type === 'nats') return createNatsSink(settings)
  if (settings.type === 'amqp') return createAmqpSink(settings)
  return createHttpSink(settings, context)
}
