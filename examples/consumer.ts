/*
 * A consumer: what a bounced address and an unsubscription mean to the CRM.
 *
 *   npm install cio-webhook-consumer
 *   REDIS_URL=redis://127.0.0.1:6379 node examples/consumer.ts
 *
 * (Node 22.18 and newer run TypeScript as it is; before that, compile it or use tsx.) Start it twice and the two
 * share the events. Ctrl-C ends it cleanly.
 */
import { createConsumer } from 'cio-webhook-consumer'

const consumer = createConsumer(
  {
    redisUrl: process.env['REDIS_URL'] ?? 'redis://127.0.0.1:6379',
    group: 'crm',
    types: ['email.bounced', '*.unsubscribed'],
    signals: true,
    onError: (error, about) => {
      if (about === undefined) console.error('redis: trying again', error)
      else console.error(about.dead ? 'dead letter' : 'trying again', about, error)
    }
  },
  async (event, { attempt, signal }) => {
    switch (event.type) {
      case 'io.customer.email.bounced':
        // The type has told what the data are: a message, a failure, no address.
        await markUndeliverable(event.subject, event.data.data.failure_message, signal)
        break
      case 'io.customer.customer.unsubscribed':
      case 'io.customer.email.unsubscribed':
        await stopWriting(event.subject, signal)
        break
      default:
        console.log(`${event.id}: nothing to do for ${event.type} (attempt ${attempt})`)
    }
  }
)

await consumer.start()
console.log('consuming as group crm')

/** Must be safe to do twice: an event is handed over at least once. Rejects, and the event comes again. */
async function markUndeliverable(customer: string | undefined, why: string, _: AbortSignal): Promise<void> {
  console.log(`customer ${customer}: undeliverable (${why})`)
}

async function stopWriting(customer: string | undefined, _: AbortSignal): Promise<void> {
  console.log(`customer ${customer}: unsubscribed`)
}
