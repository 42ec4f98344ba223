import t, { type Test } from 'tap'
import {
  createReportingWebhook,
  listReportingWebhooks,
  updateReportingWebhook
} from '../../src/customerio/reporting-webhooks.ts'
import { appApiOf, startCustomerIo } from '../helpers/customer-io.ts'

const settings = {
  name: 'cio-webhook',
  endpoint: 'https://hooks.example.com/api/cio/webhook',
  events: ['email_opened'],
  disabled: false,
  fullResolution: true,
  withContent: false
}

async function startWithKey(t: Test) {
  const cio = await startCustomerIo(t)
  cio.appKeys.add('app-key')
  return { cio, api: appApiOf(cio) }
}

t.test('a webhook is created, changed and listed', async t => {
  const { cio, api } = await startWithKey(t)
  t.same(await createReportingWebhook(api, settings), { id: 1, ...settings })
  t.match(cio.webhooks, [{ full_resolution: true, with_content: false, disabled: false }])
  t.same(await updateReportingWebhook(api, 1, { fullResolution: false, events: ['email_sent'] }), {
    id: 1,
    ...settings,
    fullResolution: false,
    events: ['email_sent']
  })
  t.equal((await listReportingWebhooks(api)).length, 1)
})

t.test('the id of a webhook may be a number or text', async t => {
  const { cio, api } = await startWithKey(t)
  const { fullResolution, withContent, ...others } = settings
  const webhooks = [7, 'w7'].map(id => ({
    id,
    ...others,
    full_resolution: fullResolution,
    with_content: withContent
  }))
  cio.answer = { status: 200, body: JSON.stringify({ reporting_webhooks: webhooks }) }
  t.same(await listReportingWebhooks(api), [
    { id: 7, ...settings },
    { id: 'w7', ...settings }
  ])
})

t.test('a webhook without an endpoint, such as one of type js, is left out', async t => {
  const { cio, api } = await startWithKey(t)
  cio.answer = { status: 200, body: '{"reporting_webhooks":[{"id":3,"type":"js"}]}' }
  t.same(await listReportingWebhooks(api), [])
})

t.test('a creation with an unknown outcome is not repeated, or there would be two webhooks', async t => {
  const { cio, api } = await startWithKey(t)
  cio.next.push({ status: 503, body: '{}' })
  await t.rejects(createReportingWebhook(api, settings), { message: 'status 503' })
  t.same(cio.requests, ['POST /v1/reporting_webhooks 503'])
})

t.test('an answer of another form is refused with the field', async t => {
  const { cio, api } = await startWithKey(t)
  const webhook = { id: 7, name: 'x', endpoint: 'https://x', events: [], disabled: false }
  for (const [answer, problem] of [
    [{}, 'reporting_webhooks is not a list'],
    [{ reporting_webhooks: [webhook] }, 'full_resolution of the webhook 7'],
    [{ reporting_webhooks: [{ ...webhook, disabled: 'no' }] }, 'disabled of the webhook 7'],
    [{ reporting_webhooks: [{ ...webhook, events: [1] }] }, 'events of the webhook 7'],
    [{ reporting_webhooks: [{ ...webhook, id: '7\u001b[2J' }] }, /: a webhook has no valid id;/],
    [{ reporting_webhooks: [{ ...webhook, id: [7] }] }, /: a webhook has no valid id;/]
  ] as const) {
    cio.answer = { status: 200, body: JSON.stringify(answer) }
    await t.rejects(listReportingWebhooks(api), { message: problem })
  }
})
