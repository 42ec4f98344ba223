import type { Test } from 'tap'
import { createAttemptRecorder } from '../../../src/dispatch/attempt-recorder.ts'
import { consumerStates } from '../../../src/dispatch/consumer-state.ts'
import { createDeadLetterReporter } from '../../../src/dispatch/dead-letter-reporter.ts'
import { createHttpConsumer } from '../../../src/dispatch/http/http-consumer.ts'
import { openPushQueue, type PushQueue } from '../../../src/dispatch/http/push-queue.ts'
import type { PushConsumer, PushContext } from '../../../src/dispatch/push-context.ts'
import { type DeadLetters, deadLetters } from '../../../src/group/dead-letters.ts'
import { createEventBudget } from '../../../src/group/event-budget.ts'
import { createLogger } from '../../../src/ops/logger.ts'
import type { AttemptOutcome } from '../../../src/ops/outcomes.ts'
import { connectRedis, type RedisClient } from '../../../src/redis/connect.ts'
import { Secret } from '../../../src/secret.ts'
import type { HttpSettings } from '../../../src/settings/http-consumer.ts'
import { appendEvent } from '../../helpers/log.ts'
import { type Behaviour, startReceiver, type TestReceiver } from '../../helpers/receiver.ts'
import { startRedis, type TestRedis } from '../../helpers/redis.ts'
import { until } from '../../helpers/server.ts'

export const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
export const STREAM = 'cio:events:{0}'

export const httpSettings = (
  receiver: { readonly url: string },
  changes: Partial<HttpSettings> = {}
): HttpSettings => ({
  name: 'crm',
  type: 'http',
  from: 'start',
  url: receiver.url,
  secrets: [new Secret(SECRET)],
  concurrency: 10,
  order: 'relaxed',
  http2: false,
  // Enough on a busy machine too.
  timeoutMs: 10_000,
  maxAttempts: 3,
  retryDelayMs: 20,
  maxRetryDelayMs: 200,
  backlog: 1000,
  backlogBytes: 1024 * 1024,
  ...changes
})

export interface OpenConsumer {
  readonly consumer: PushConsumer
  readonly connection: RedisClient
  readonly outcomes: AttemptOutcome[]
  readonly dead: DeadLetters
  readonly states: ReturnType<typeof consumerStates>
  readonly queue: PushQueue
  close(): Promise<void>
}

/** One replica of a consumer, started. @param keep wraps what adds dead letters */
export async function openConsumer(
  redis: TestRedis,
  settings: HttpSettings,
  keep: (add: DeadLetters['add']) => DeadLetters['add'] = add => add,
  tracing?: PushContext['tracing'],
  eventBudget = createEventBudget(1024 * 1024)
): Promise<OpenConsumer> {
  const outcomes: AttemptOutcome[] = []
  const open = (profile: 'fail-fast' | 'blocking') =>
    connectRedis(redis.address, profile).on('error', () => {})
  const [patient, client] = [open('blocking'), open('fail-fast')]
  await until('a connection', async () => client.status === 'ready')
  const states = consumerStates(client, 'cio:', Date.now)
  const dead = deadLetters(client, 'cio:')
  const countAttempts = (_: string, outcome: AttemptOutcome): void => void outcomes.push(outcome)
  const { log } = createLogger('silent')
  const attempts = createAttemptRecorder({
    redis: client,
    keyPrefix: 'cio:',
    length: 100,
    states,
    countAttempts,
    log,
    now: Date.now
  })
  const consumer = createHttpConsumer(settings, {
    connect: () => open('fail-fast'),
    member: 'test',
    queueRedis: patient,
    keyPrefix: 'cio:',
    states,
    deadLetters: { ...dead, add: keep(dead.add) },
    eventBudget,
    now: Date.now,
    tracing,
    attempts,
    countAttempts,
    reporter: createDeadLetterReporter(log),
    readErrorReporter: () => ({ report: () => {} }),
    onError: () => {}
  })
  consumer.start()
  const queue = openPushQueue(patient, 'cio:', settings)
  const close = async (): Promise<void> => {
    await consumer.close()
    await attempts.close()
    await Promise.race([queue.queue.close(), new Promise(resolve => setTimeout(resolve, 500))])
    patient.disconnect()
    client.disconnect()
  }
  return { consumer, connection: client, states, dead, queue, outcomes, close }
}

export interface Push extends OpenConsumer {
  readonly redis: TestRedis
  readonly receiver: TestReceiver
  readonly settings: HttpSettings
  /** Appends events to the log, each of a customer of its own. */
  append(...ids: readonly string[]): Promise<void>
}

/** A receiver, a Redis and one replica. */
export async function push(
  t: Test,
  behaviour: Behaviour,
  changes: Partial<HttpSettings> = {},
  keep?: (add: DeadLetters['add']) => DeadLetters['add']
): Promise<Push> {
  const redis = await startRedis()
  const receiver = await startReceiver(behaviour)
  const settings = httpSettings(receiver, changes)
  const opened = await openConsumer(redis, settings, keep)
  t.teardown(async () => {
    await opened.close()
    await receiver.stop()
    await redis.stop()
  })
  const append = async (...ids: readonly string[]): Promise<void> => {
    await Promise.all(ids.map(id => appendEvent(redis.client, { id })))
  }
  return { redis, receiver, settings, append, ...opened }
}

export const ids = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

/** Events that the group has not read, and those that it has read and not acknowledged. */
export async function waiting(redis: TestRedis): Promise<{ readonly lag: number; readonly pending: number }> {
  const [group = []] = (await redis.client.xinfo('GROUPS', STREAM)) as unknown[][]
  const field = (name: string): number => Number(group[group.indexOf(name) + 1])
  return { lag: field('lag'), pending: field('pending') }
}

/** Everything is delivered or a dead letter. */
export async function untilDone(redis: TestRedis, queue: PushQueue, timeoutMs?: number): Promise<void> {
  await until(
    'nothing waits',
    async () => {
      const { lag, pending } = await waiting(redis)
      return lag === 0 && pending === 0 && (await queue.outstanding()).count === 0
    },
    timeoutMs
  )
}

export const idsAt = ({ requests }: TestReceiver): string[] =>
  requests.map(({ headers }) => headers['webhook-id'] ?? '')
