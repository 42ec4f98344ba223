import type { DeadLetters } from '../group/dead-letters.ts'
import type { RedisClient } from '../redis/connect.ts'
import type { ConsumerSettings } from '../settings/consumers-file.ts'
import type { ConsumerStates } from './consumer-state.ts'
import type { Sink } from './sink.ts'
import { createAmqpSink } from './sinks/amqp.ts'
import { type AttemptOutcome, createHttpSink } from './sinks/http.ts'
import { createNatsSink } from './sinks/nats.ts'

export interface SinkContext {
  /** For BullMQ alone: connected with the profile `blocking`. */
  readonly queueRedis: RedisClient
  readonly keyPrefix: string
  readonly states: ConsumerStates
  readonly deadLetters: DeadLetters
  readonly now: () => number
  readonly onAttempt: (consumer: string, outcome: AttemptOutcome) => void
  readonly onError: (consumer: string, error: unknown) => void
}

/** The other side of a consumer, as its settings say. Opens nothing before it is needed. */
export function createSink(settings: ConsumerSettings, surroundings: SinkContext): Sink {
  if (settings.type === 'nats') return createNatsSink(settings)
  if (settings.type === 'amqp') return createAmqpSink(settings)
  return createHttpSink({
    settings,
    redis: surroundings.queueRedis,
    keyPrefix: surroundings.keyPrefix,
    states: surroundings.states,
    deadLetters: surroundings.deadLetters,
    now: surroundings.now,
    onAttempt: outcome => surroundings.onAttempt(settings.name, outcome),
    onError: error => surroundings.onError(settings.name, error)
  })
}
