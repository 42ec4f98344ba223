import type { TestRedis } from '../../test/helpers/redis.ts'

const STREAM = 'cio:events:{0}'
const AT_ONCE = 500

/** Appends events to the log as the service would, each with the current time. */
export async function append(redis: TestRedis, count: number): Promise<void> {
  for (let first = 0; first < count; first += AT_ONCE) {
    const pipeline = redis.client.pipeline()
    for (let index = first; index < Math.min(count, first + AT_ONCE); index++) {
      pipeline.xadd(STREAM, '*', ...entry(index))
    }
    await pipeline.exec()
  }
}

/** Appends events evenly over some seconds. @param rate events per second */
export async function appendAtRate(redis: TestRedis, rate: number, seconds: number): Promise<void> {
  const startedMs = performance.now()
  for (let sent = 0; sent < rate * seconds; ) {
    const due = Math.min(rate * seconds, Math.floor(((performance.now() - startedMs) / 1000) * rate))
    if (due > sent) {
      await append(redis, due - sent)
      sent = due
    }
    await new Promise(resolve => setTimeout(resolve, 2))
  }
}

/** Has this consumer received every event of the log? */
export async function isDone(redis: TestRedis, consumer: string): Promise<boolean> {
  const groups = (await redis.client.xinfo('GROUPS', STREAM)) as unknown[][]
  const own = groups.map(fieldsOf).find(fields => fields.get('name') === consumer)
  if (own?.get('lag') !== 0 || own.get('pending') !== 0) return false
  return (await queued(redis, consumer)) === 0
}

/** Events in this consumer's push queue. */
export async function queued(redis: TestRedis, consumer: string): Promise<number> {
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

function entry(index: number): string[] {
  const event = {
    specversion: '1.0',
    id: `e${process.pid}-${Date.now()}-${index}`,
    source: '/customerio/default',
    type: 'io.customer.email.opened',
    subject: `c${index % 1000}`,
    receivedtime: new Date().toISOString(),
    datacontenttype: 'application/json',
    data: { filler: 'x'.repeat(600) }
  }
  return ['type', event.type, 'event', JSON.stringify(event)]
}
