import t from 'tap'
import { AppApiError } from '../../../src/customerio/app-api.ts'
import type { ReportingWebhook } from '../../../src/customerio/reporting-webhooks.ts'
import { checkConnection } from '../../../src/tools/connect/check.ts'
import { allNames, ENDPOINT, goodWebhook } from '../../helpers/reporting-webhook.ts'

const connection = { source: 'default', endpoint: ENDPOINT, events: undefined, webhook: '7' }
const without = (name: string) => goodWebhook({ events: allNames.filter(each => each !== name) })
const NO_STATS = { outcomes: {}, keys: {}, signatureFailures: {}, listedFailures: {}, wrongAddress: {} }

const rows: readonly (readonly [
  circumstance: string,
  webhooks: readonly ReportingWebhook[],
  state: string,
  problem: string | undefined
])[] = [
  ['nothing differs', [goodWebhook()], 'ok', undefined],
  ['it was recreated by hand', [goodWebhook({ id: 9 })], 'ok', undefined],
  ['it is gone', [], 'deleted', 'the webhook 7 is gone'],
  [
    'it posts elsewhere',
    [goodWebhook({ endpoint: 'https://old.example.com/' })],
    'elsewhere',
    'the webhook 7 posts to https://old.example.com/'
  ],
  ['it is disabled', [goodWebhook({ disabled: true })], 'disabled', 'the webhook 7 is disabled'],
  ['a type was removed', [without('email_bounced')], 'incomplete', 'does not send email_bounced'],
  [
    'many types were removed',
    [goodWebhook({ events: ['email_sent'] })],
    'incomplete',
    'customer_subscription_preferences_changed, email_drafted, email_attempted and 65 more'
  ],
  ['there are two', [goodWebhook(), goodWebhook({ id: 8 })], 'duplicated', 'the webhooks 7, 8 all post'],
  ['the other one is disabled', [goodWebhook({ id: 8, disabled: true }), goodWebhook()], 'ok', undefined]
]
for (const [circumstance, webhooks, state, problem] of rows) {
  t.test(`if ${circumstance}, the state is ${state}`, async t => {
    const check = checkConnection(connection, {
      webhooks,
      unreadable: [],
      consumerTypes: [],
      deliveries: undefined
    })
    t.equal(check.state, state)
    if (problem === undefined) t.equal(check.problem, undefined)
    else t.match(check.problem, problem)
  })
}

t.test('a webhook that is unreadable is unchecked, not deleted', async t => {
  const error = new AppApiError('malformed', 'events of the webhook 7 is missing or invalid')
  const check = (unreadable: { id: number; endpoint: string }) =>
    checkConnection(connection, {
      webhooks: [],
      unreadable: [{ ...unreadable, error }],
      consumerTypes: [],
      deliveries: undefined
    })
  const unchecked = { state: 'unchecked', problem: error.message }
  t.match(check({ id: 9, endpoint: ENDPOINT }), unchecked)
  t.match(check({ id: 7, endpoint: 'https://old.example.com/' }), unchecked)
  t.equal(check({ id: 9, endpoint: 'https://old.example.com/' }).state, 'deleted')
})

t.test('only wrong signatures from listed addresses mean an unknown key', async t => {
  const stateWith = (deliveries: object) =>
    checkConnection(connection, {
      webhooks: [goodWebhook()],
      unreadable: [],
      consumerTypes: [],
      deliveries: { ...NO_STATS, ...deliveries }
    }).state
  t.equal(stateWith({ listedFailures: { mismatch: 1 } }), 'unknown_key')
  t.equal(stateWith({ listedFailures: { mismatch: 1 }, keys: { current: 1 } }), 'ok', 'another tenant')
  t.equal(stateWith({ signatureFailures: { mismatch: 9 } }), 'ok', 'anyone')
})

t.test('a type that a consumer names is needed, also if the webhook was connected for fewer', async t => {
  const webhook = goodWebhook({ events: ['email_sent'] })
  const narrow = { ...connection, events: ['email.sent'] }
  const check = (consumerTypes: readonly string[]) =>
    checkConnection(narrow, { webhooks: [webhook], unreadable: [], consumerTypes, deliveries: undefined })
  t.equal(check([]).state, 'ok', 'a consumer without types takes what comes')
  t.match(check(['push.b*', 'email.s?nt', 'push.b*']), {
    state: 'incomplete',
    problem: 'the webhook 7 does not send push_bounced',
    events: ['email.sent', 'push.b*']
  })
})
