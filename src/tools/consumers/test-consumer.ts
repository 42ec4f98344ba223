// Tested by test/cli/consumers/test.slow.test.ts.
import { randomUUID } from 'node:crypto'
import type { OutgoingEvent } from '../../group/outgoing-event.ts'
import type { ConsumerSettings } from '../../settings/consumers-file.ts'
import { DEFAULT_SOURCE } from '../../settings/sources.ts'
import { type BrokerExchange, testBroker } from './test-broker.ts'
import { type HttpExchange, testHttp } from './test-http.ts'

/** What was sent to the target of a push consumer, and what came back. It contains no secret. */
export type Exchange = HttpExchange | BrokerExchange

/** No event of Customer.io has this type or source. The routing key of brokers is `cio_webhook.test`. */
const TEST_TYPE = 'io.customer.cio_webhook.test'
const TEST_SOURCE = '/cio-webhook/test'

/**
 * Sends a test event to the target of a push consumer, whatever its `types`, also while it is paused or disabled.
 *
 * @returns the exchange; it never rejects because of the target
 */
export function testConsumer(settings: ConsumerSettings, now: () => number): Promise<Exchange> {
  const event = testEvent(now())
  return settings.type === 'http' ? testHttp(settings, event, now) : testBroker(settings, event)
}

function testEvent(nowMs: number): OutgoingEvent {
  const id = `test-${randomUUID()}`
  const event = JSON.stringify({
    specversion: '1.0',
    id,
    source: TEST_SOURCE,
    type: TEST_TYPE,
    time: new Date(nowMs).toISOString(),
    datacontenttype: 'application/json',
    data: { test: true, sent_by: 'cio-webhook consumers test' }
  })
  return { id, source: DEFAULT_SOURCE, type: TEST_TYPE, event, position: '0-0-0' }
}
