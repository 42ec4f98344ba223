import type { TestRedis } from '../../test/helpers/redis.ts'
import { until } from '../../test/helpers/server.ts'

export const STREAM = 'cio:events:{0}'
/** The name of the consumer that is measured. */
export const CONSUMER = 'way'

const EVENTS_PER_CALL = 500
const CUSTOMERS = 1000
/** Makes an event of 850 bytes, as Customer.io's e-mail events have on average. */
const FILLER = 'x'.repeat(600)

/** Appends events to the log as the service would. @param first the `index` of the first one, counting up */
export async function append(redis: TestRedis, count: number, first = 0): Promise<void> {
  for (let index = first; index < first + count; index += EVENTS_PER_CALL) {
    const pipeline = redis.client.pipeline()
    for (let each = index; each < Math.min(first + count, index + EVENTS_PER_CALL); each++) {
      pipeline.xadd(STREAM, '*', 'type', TYPE, 'event', eventText(each))
    }
    await pipeline.exec()
  }
}

/** Appends events evenly over some seconds. @param rate events per second */
export async function appendAtRate(
  redis: TestRedis,
  rate: number,
  seconds: number,
  first = 0
): Promise<void> {
  const startedMs = performance.now()
  for (let sent = 0; sent < rate * seconds; ) {
    const due = Math.min(rate * seconds, Math.floor(((performance.now() - startedMs) / 1000) * rate))
    if (due > sent) {
      await append(redis, due - sent, first + sent)
      sent = due
    }
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

const TYPE = 'io.customer.email.opened'

let created = 0

/** An event as JSON text, with an id that was never used. `index` and the time are in its data. */
export function eventText(index: number): string {
  return JSON.stringify({
    specversion: '1.0',
    id: `${Date.now()}-${process.pid}-${created++}`,
    source: '/customerio/default',
    type: TYPE,
    subject: `c${index % CUSTOMERS}`,
    receivedtime: new Date().toISOString(),
    datacontenttype: 'application/json',
    data: { index, appendedUs: Number(process.hrtime.bigint() / 1000n), filler: FILLER }
  })
}

/** When the event was appended, in microseconds of the machine's monotonic clock. */
export const appendedUs = (event: string): number => Number(/"appendedUs":(\d+)/.exec(event)?.[1])

export const indexOf = (event: string): number => Number(/"index":(\d+)/.exec(event)?.[1])

/** Waits until these consumers have processed every event of the log, retries included. @throws after `timeoutMs` */
export async function untilDone(
  redis: TestRedis,
  timeoutMs: number,
  consumers: readonly string[] = [CONSUMER]
): Promise<void> {
  await until('every event processed', () => areDone(redis, consumers), timeoutMs)
}

async function areDone(redis: TestRedis, consumers: readonly string[]): Promise<boolean> {
  const groups = await groupsOf(redis)
  const hasRead = (name: string) =>
    groups.get(name)?.get('lag') === 0 && groups.get(name)?.get('pending') === 0
  if (!consumers.every(hasRead)) return false
  const queues = await Promise.all(consumers.map(name => queued(redis, name)))
  return queues.every(count => count === 0)
}

/** The consumer groups of the log by name, each with its fields in XINFO GROUPS. */
export async function groupsOf(redis: TestRedis): Promise<Map<string, Map<unknown, unknown>>> {
  if ((await redis.client.exists(STREAM)) === 0) return new Map()
  const groups = (await redis.client.xinfo('GROUPS', STREAM)) as unknown[][]
  return new Map(groups.map(fieldsOf).map(fields => [String(fields.get('name')), fields]))
}

/** Events in this consumer's push queue. */
async function queued(redis: TestRedis, consumer: string): Promise<number> {
  const queue = `cio:push:{${consumer}}:push`
  const [waiting, active, delayed] = await Promise.all([
    redis.client.llen(`${queue}:wait`),
    redis.client.llen(`${queue}:active`),
    redis.client.zcard(`${queue}:delayed`)
  ])
  return waiting + active + delayed
}

const fieldsOf = (group: readonly unknown[]): Map<unknown, unknown> =>
  new Map(group.flatMap((field, index) => (index % 2 === 0 ? [[field, group[index + 1]]] : [])))
