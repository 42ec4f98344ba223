import t from 'tap'
import { planWebhook } from '../../../src/tools/connect/plan.ts'
import { ENDPOINT, goodWebhook } from '../../helpers/reporting-webhook.ts'

const wanted = { endpoint: ENDPOINT, events: undefined }

t.test('without a webhook of this endpoint, one is created, and those of another host are shown', async t => {
  const elsewhere = goodWebhook({ id: 3, endpoint: 'https://old.example.com/api/cio/webhook' })
  const others = [
    goodWebhook({ id: 4, endpoint: 'https://crm.example.com/customerio' }),
    goodWebhook({ id: 5, endpoint: 'not a URL' }),
    goodWebhook({ id: 6, endpoint: `${ENDPOINT}/crm` })
  ]
  t.same(planWebhook([elsewhere, ...others], wanted, undefined), { action: 'create', similar: [elsewhere] })
})

t.test('a webhook of this endpoint is changed only if it differs', async t => {
  t.match(planWebhook([goodWebhook()], wanted, undefined), { action: 'none', webhook: { id: 7 } })
  t.match(planWebhook([goodWebhook({ disabled: true })], wanted, undefined), {
    action: 'change',
    differences: [{ kind: 'disabled' }]
  })
})

t.test(
  'of two webhooks with the same endpoint, the enabled one is meant; two enabled ones are not changed',
  async t => {
    const [one, other] = [goodWebhook({ id: 1, endpoint: `${ENDPOINT}/` }), goodWebhook({ id: 2 })]
    t.match(planWebhook([{ ...one, disabled: true }, other], wanted, undefined), {
      action: 'none',
      webhook: { id: 2 }
    })
    t.match(planWebhook([one, other], wanted, undefined), {
      action: 'choose',
      webhooks: [{ id: 1 }, { id: 2 }]
    })
    t.match(planWebhook([one, other], wanted, '1'), { action: 'none', webhook: { id: 1 } })
    const disabled = [one, other].map(webhook => ({ ...webhook, disabled: true }))
    t.match(planWebhook(disabled, wanted, undefined), { action: 'change', webhook: { id: 1 } })
  }
)

t.test('a chosen webhook is moved to the endpoint', async t => {
  const old = goodWebhook({ id: 'a1', endpoint: 'https://old.example.com/cio' })
  t.match(planWebhook([old], wanted, 'a1'), { action: 'change', differences: [{ kind: 'endpoint' }] })
  t.same(planWebhook([old], wanted, '2'), { action: 'no_such_webhook' })
})
