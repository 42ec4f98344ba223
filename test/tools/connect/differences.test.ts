import t from 'tap'
import { corrected, differencesOf, wantedNames } from '../../../src/tools/connect/differences.ts'
import { allNames, ENDPOINT, goodWebhook } from '../../helpers/reporting-webhook.ts'

const wanted = { endpoint: ENDPOINT, events: undefined }

t.test('a webhook as it should be has no differences', async t => {
  t.same(differencesOf(goodWebhook(), wanted), [])
  t.same(differencesOf(goodWebhook({ endpoint: `${ENDPOINT}/` }), wanted), [])
})

t.test('each difference is found, and corrected without removing an event', async t => {
  const webhook = goodWebhook({
    endpoint: 'https://old.example.com/api/cio/webhook',
    events: [...allNames.filter(name => name !== 'email_bounced'), 'carrier_pigeon_sent'],
    disabled: true,
    fullResolution: false,
    withContent: true
  })
  const differences = differencesOf(webhook, wanted)
  t.same(differences, [
    { kind: 'endpoint', is: 'https://old.example.com/api/cio/webhook', wanted: ENDPOINT },
    { kind: 'disabled' },
    { kind: 'missing_events', events: ['email_bounced'] },
    { kind: 'first_only' },
    { kind: 'with_content' }
  ])
  const { id: _, ...settings } = goodWebhook()
  t.same(corrected(webhook, differences), { ...settings, events: [...webhook.events, 'email_bounced'] })
  t.same(differencesOf({ id: 7, ...corrected(webhook, differences) }, wanted), [], 'a second time, nothing')
})

t.test('events that were not asked for are not missing', async t => {
  const webhook = goodWebhook({ events: wantedNames(['email.bounced']) })
  t.same(differencesOf(webhook, { endpoint: ENDPOINT, events: ['email.bounced'] }), [])
  t.match(differencesOf(webhook, { endpoint: ENDPOINT, events: ['email.?o*', 'customer.*'] }), [
    {
      kind: 'missing_events',
      events: ['customer_subscribed', 'customer_unsubscribed', 'customer_subscription_preferences_changed']
    }
  ])
})
