import t from 'tap'
import { uncertainNames, webhookEventNames } from '../../src/customerio/webhook-events.ts'
import { sampleTypes } from '../../src/tools/send/samples.ts'

const all = webhookEventNames(() => true)

t.test('the table has exactly the events of which there are samples', async t => {
  const seen: string[] = []
  webhookEventNames(event => seen.push(event) > 0)
  t.same(seen.sort(), [...sampleTypes].sort())
  t.equal(new Set(all).size, 73)
})

t.test('71 names are in the list of the App API, and those two that are uncertain are not', async t => {
  t.same(
    [...uncertainNames].filter(name => !all.includes(name)),
    []
  )
  t.equal(all.filter(name => !uncertainNames.has(name)).length, 71)
})

t.test('names of the App API differ from those of events where Customer.io says so', async t => {
  const nameOf = (event: string) => webhookEventNames(name => name === event)
  t.same(nameOf('customer.cio_subscription_preferences_changed'), [
    'customer_subscription_preferences_changed'
  ])
  t.same(nameOf('in_app.opened'), ['in_app_opened'])
  t.same(nameOf('sms.dropped'), ['sms_dropped'], 'sms, not twilio as in the messages API')
  t.same(nameOf('email.unknown'), [])
})
