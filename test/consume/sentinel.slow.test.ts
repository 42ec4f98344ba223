import { Redis } from 'ioredis'
import t from 'tap'
import { createConsumer } from '../../src/consume/consumer.ts'
import { failedOver, startSentinels } from '../helpers/cluster.ts'
import { appendEvent } from '../helpers/log.ts'
import { until } from '../helpers/server.ts'

t.setTimeout(600_000)

const GROUP = 'crm'
const STREAM = 'cio:events:{0}'
const PEOPLE = 10

/** How the master fails: killed, or silent with open connections. */
const endings = [
  ['killed', 'SIGKILL'],
  ['stopped', 'SIGSTOP']
] as const

for (const [how, signal] of endings) {
  t.test(
    `a master behind Sentinel is ${how}: its consumer goes on with the new one, and misses nothing`,
    async t => {
      const { master, replica, sentinels, stop } = await startSentinels()
      const client = new Redis({
        sentinels: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
        name: 'mymaster',
        sentinelRetryStrategy: () => 100
      })
      client.on('error', () => {})
      const handled: string[] = []
      const errors: unknown[] = []
      const consumer = createConsumer(
        { redis: client, group: GROUP, concurrency: 4, leaseMs: 2000, onError: error => errors.push(error) },
        async event => {
          await new Promise(resolve => setTimeout(resolve, 10))
          handled.push(event.id)
        }
      )
      t.teardown(async () => {
        // A suspended server cannot shut down.
        if (signal === 'SIGSTOP') master.process.kill('SIGCONT')
        await consumer.stop()
        client.disconnect()
        await stop()
      })
      await consumer.start()

      const append = async (to: Redis, from: number, count: number): Promise<void> => {
        for (let index = from; index < from + count; index++) {
          await appendEvent(to, { id: `${index}`, subject: `p${index % PEOPLE}` })
        }
      }
      await append(master.client, 0, 1000)
      // Writes that the replica has not received would be lost with the master.
      t.equal(await master.client.wait(1, 5000), 1)
      await until('it is at work', async () => handled.length > 100)
      master.process.kill(signal)
      t.ok(handled.length < 1000, 'in the middle of it')
      const handledBefore = handled.length
      await failedOver(sentinels, replica)
      await append(replica.client, 1000, 500)
      await until('everything', async () => new Set(handled).size === 1500, 60_000)
      await until(
        'everything is acknowledged',
        async () => Number((await replica.client.xpending(STREAM, GROUP))[0]) === 0,
        30_000
      )

      const twice = handled.length - 1500
      t.comment(`${handledBefore} handled before, ${twice} handled twice, ${errors.length} errors reported`)
      // Replication is asynchronous: acknowledgements that the replica had not received are lost. And the lease
      // can pass to another member while up to 500 entries are in flight.
      t.ok(twice <= 500, `${twice} handled twice`)
      const firsts = [...new Set(handled)].map(Number)
      for (let person = 0; person < PEOPLE; person++) {
        const own = firsts.filter(index => index % PEOPLE === person)
        t.same(
          own,
          own.toSorted((a, b) => a - b),
          `p${person} in order`
        )
      }
      t.ok(errors.length > 0, 'errors were reported')
    }
  )
}
