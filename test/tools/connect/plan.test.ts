import t from 'tap'
import { AppApiError } from '../../../src/customerio/app-api.ts'
import type { ReportingWebhook } from '../../../src/customerio/reporting-webhooks.ts'
import type { WantedWebhook } from '../../../src/tools/connect/differences.ts'
import { planWebhook } from '../../../src/tools/connect/plan.ts'
import { ENDPOINT, goodWebhook } from '../../helpers/reporting-webhook.ts'

const wanted = { endpoint: ENDPOINT, events: undefined }

const plan = (webhooks: readonly ReportingWebhook[], wanted: WantedWebhook, id: string | undefined) =>
  planWebhook({ webhooks, unreadable: [] }, wanted, id)

t.test('without a webhook of this endpoint, one is created, and those of another host are shown', async t => {
  const elsewhere = goodWebhook({ id: 3, endpoint: 'https://old.example.com/api/cio/webhook' })
  const others = [
    goodWebhook({ id: 4, endpoint: 'https://crm.example.com/customerio' }),
    goodWebhook({ id: 5, endpoint: 'not a URL' }),
    goodWebhook({ id: 6, endpoint: `${ENDPOINT}/crm` })
  ]
  t.same(plan([elsewhere, ...others], wanted, undefined), { action: 'create', similar: [elsewhere] })
})

t.test('a webhook of this endpoint is changed only if it differs', async t => {
  t.match(plan([goodWebhook()], wanted, undefined), { action: 'none', webhook: { id: 7 } })
  t.match(plan([goodWebhook({ disabled: true })], wanted, undefined), {
    action: 'change',
    differences: [{ kind: 'disabled' }]
  })
})

t.test(
  'of two webhooks with the same endpoint, the enabled one is meant; two enabled ones are not changed',
  async t => {
    const [one, other] = [goodWebhook({ id: 1, endpoint: `${ENDPOINT}/` }), goodWebhook({ id: 2 })]
    t.match(plan([{ ...one, disabled: true }, other], wanted, undefined), {
      action: 'none',
      webhook: { id: 2 }
    })
    t.match(plan([one, other], wanted, undefined), {
      action: 'choose',
      webhooks: [{ id: 1 }, { id: 2 }]
    })
    t.match(plan([one, other], wanted, '1'), { action: 'none', webhook: { id: 1 } })
    const disabled = [one, other].map(webhook => ({ ...webhook, disabled: true }))
    t.match(plan(disabled, wanted, undefined), { action: 'change', webhook: { id: 1 } })
  }
)

t.test('a chosen webhook is moved to the endpoint', async t => {
  const old = goodWebhook({ id: 'a1', endpoint: 'https://old.example.com/cio' })
  t.match(plan([old], wanted, 'a1'), { action: 'change', differences: [{ kind: 'endpoint' }] })
  t.same(plan([old], wanted, '2'), { action: 'no_such_webhook' })
})

t.test('an unreadable webhook is not created again, and does not stop the change of another one', async t => {
  const error = new AppApiError('malformed', 'events of the webhook 7 is missing or invalid')
  const odd = (id: number, endpoint: string) => [{ id, endpoint, error }]
  const planWith = (unreadable: ReturnType<typeof odd>, id?: string) => () =>
    planWebhook({ webhooks: [goodWebhook({ id: 3, endpoint: `${ENDPOINT}/crm` })], unreadable }, wanted, id)
  t.throws(planWith(odd(7, `${ENDPOINT}/`)), error)
  t.throws(planWith(odd(7, 'https://old.example.com/cio'), '7'), error)
  t.match(planWith(odd(7, ENDPOINT), '3')(), { action: 'change', webhook: { id: 3 } })
  t.match(planWith(odd(7, 'https://old.example.com/cio'))(), { action: 'create' })
})
