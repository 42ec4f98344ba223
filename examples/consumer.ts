/*
 * A consumer that updates a CRM after bounces and unsubscriptions.
 *
 *   npm install ../cio-webhook/build/cio-webhook-consumer-*.tgz    (written by npm run pack:consumer)
 *   REDIS_URL=redis://127.0.0.1:6379 node examples/consumer.ts
 *
 * Node 22.18 and newer run TypeScript directly; for older versions, compile it or use tsx. Start it twice to share the
 * events between two processes. Ctrl-C stops it cleanly.
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
        // TypeScript knows the fields of this type: a message with a failure, and no address.
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

/** Must be idempotent: an event can come more than once. If it rejects, the event is retried. */
async function markUndeliverable(
  customer: string | undefined,
  reason: string,
  _: AbortSignal
): Promise<void> {
  console.log(`customer ${customer}: undeliverable (${reason})`)
}

async function stopWriting(customer: string | undefined, _: AbortSignal): Promise<void> {
  console.log(`customer ${customer}: unsubscribed`)
}
