import t from 'tap'
import { flushedRedis } from '../helpers/redis.ts'
import { loggedEntry, type ReadEntry, readStreams } from './oracle.ts'

const STREAM = 'cio:events:{0}'
const redis = await flushedRedis(t)

/** Appends events. @returns them as a consumer that has read all of them */
async function readEvents(events: number): Promise<readonly ReadEntry[]> {
  const read: ReadEntry[] = []
  for (let n = 0; n < events; n++) {
    const fields = ['type', 'x', 'event', JSON.stringify({ id: `event-${n}` })]
    const id = String(await redis.client.xadd(STREAM, '*', ...fields))
    read.push({ ...loggedEntry(STREAM, id, fields), readAtMs: 1 })
  }
  return read
}

t.test(
  'events that were trimmed after they were read are part of the log, also when trimming goes on',
  async t => {
    const read = await readEvents(300)
    const client = redis.client.duplicate()
    t.teardown(() => client.disconnect())
    const xrange = client.xrange.bind(client) as (...args: unknown[]) => Promise<[string, string[]][]>
    let left = 300
    // Between two commands, as the service does.
    Object.assign(client, {
      xrange: async (...args: unknown[]) => {
        left = Math.max(150, left - 20)
        await redis.client.xtrim(STREAM, 'MAXLEN', left)
        return xrange(...args)
      }
    })
    const entries = await readStreams(client, [STREAM], read, [])
    t.strictSame(
      entries.map(({ eventId }) => eventId),
      read.map(({ eventId }) => eventId)
    )
  }
)

t.test('read events that are missing without having been trimmed are lost', async t => {
  const read = await readEvents(3)
  await redis.client.del(STREAM)
  t.strictSame(await readStreams(redis.client, [STREAM], read, []), [])
})
