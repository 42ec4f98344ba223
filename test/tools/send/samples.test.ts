import t from 'tap'
import { eventType } from '../../../src/event-types.ts'
import { sampleEvent, sampleTypes } from '../../../src/tools/send/samples.ts'

t.test('there is a sample of every pair that Customer.io documents or lists by name', async t => {
  t.equal(sampleTypes.length, 73)
  for (const type of sampleTypes) {
    const event = sampleEvent(type, 'an-id', 7, 1_795_510_800)
    t.equal(eventType({ ...event }), `io.customer.${type}`)
    t.equal(event.event_id, 'an-id')
    t.equal(event.timestamp, 1_795_510_800)
  }
})

t.test('addresses and phone numbers of samples are reserved for examples', async t => {
  for (const type of sampleTypes) {
    const text = JSON.stringify(sampleEvent(type, 'an-id', 7, 0))
    for (const [address] of text.matchAll(/[\w.+-]+@[\w.-]+/g)) t.match(address, /@example\.com$/)
    for (const [phone] of text.matchAll(/\+\d{5,}/g)) t.equal(phone, '+15550100')
  }
})

t.test('samples have the fields of Customer.io’s events', async t => {
  const data = (type: string) => sampleEvent(type, 'an-id', 7, 0).data
  t.match(data('email.bounced'), {
    failure_message: String,
    recipient: 'sample-7@example.com',
    delivery_id: String
  })
  t.notOk('subject' in data('email.attempted'))
  t.match(data('email.sent'), { content: String, headers: { 'X-Sample': ['one', 'two'] } })
  t.match(data('push.delivered'), { recipients: [{ device_id: String, device_platform: 'android' }] })
  t.match(data('push.bounced'), { recipients: [{ failure_message: String }] })
  t.match(data('in_app.sent'), { recipient: 'sample-7' })
  for (const type of ['email.failed', 'sms.drafted', 'slack.failed']) t.notOk('recipient' in data(type), type)
  t.match(data('sms.replied'), { inbound_event_id: String, to: String, recipient: String })
  t.match(data('in_app.clicked'), { tracked_response: String, href: String, link_id: Number })
  t.match(data('email.deferred'), { failure_message: String, subject: String, recipient: String })
  t.match(data('sms.dropped'), { failure_message: String, recipient: '+15550100' })
  t.match(data('slack.converted'), { delivery_id: String, recipient: '#sample' })
  t.match(data('webhook.converted'), { delivery_id: String, recipient: String })
  t.match(data('customer.unsubscribed'), { email_address: 'sample-7@example.com' })
  const changed = sampleEvent('customer.cio_subscription_preferences_changed', 'an-id', 7, 0)
  t.match(changed, { object_type_type: 'customer', data: { content: String } })
  t.notOk('object_type' in changed)
})

t.test('an unknown type is refused', async t => {
  for (const type of ['email.nonsense', 'nonsense', '__proto__.x', ''])
    t.throws(() => sampleEvent(type, 'an-id', 7, 0), RangeError)
})
