import t, { type Test } from 'tap'
import { uncertainNames } from '../../../src/customerio/webhook-events.ts'
import { correctWebhook, createWebhook } from '../../../src/tools/connect/carry-out.ts'
import { appApiOf, startCustomerIo } from '../../helpers/customer-io.ts'
import { allNames, ENDPOINT, fakeWebhook, goodWebhook } from '../../helpers/reporting-webhook.ts'

async function start(t: Test) {
  const cio = await startCustomerIo(t)
  cio.appKeys.add('app-key')
  return { cio, api: appApiOf(cio) }
}

t.test('a new webhook sends all events, every open and click, and no bodies', async t => {
  const { cio, api } = await start(t)
  await createWebhook(api, { endpoint: ENDPOINT, events: undefined })
  t.match(cio.webhooks, [{ endpoint: ENDPOINT, full_resolution: true, with_content: false, disabled: false }])
  t.same([...(cio.webhooks[0]?.events ?? [])].sort(), [...allNames, ...uncertainNames].sort())
})

t.test('names that Customer.io declines are left out', async t => {
  const { cio, api } = await start(t)
  cio.next.push({ status: 400, body: '{"errors":[{"detail":"unknown event sms_replied"}]}' })
  await createWebhook(api, { endpoint: ENDPOINT, events: undefined })
  t.same([...(cio.webhooks[0]?.events ?? [])].sort(), [...allNames].sort())
})

t.test('a creation that is declined for another reason fails with it', async t => {
  const { cio, api } = await start(t)
  cio.next.push({ status: 422, body: '{"errors":[{"detail":"endpoint is invalid"}]}' })
  await t.rejects(createWebhook(api, { endpoint: ENDPOINT, events: ['email.*'] }), {
    message: 'endpoint is invalid'
  })
  t.same(cio.webhooks, [])
})

t.test('a correction sends the whole webhook', async t => {
  const { cio, api } = await start(t)
  cio.webhooks.push(fakeWebhook({ disabled: true }))
  await correctWebhook(api, goodWebhook({ disabled: true }), [{ kind: 'disabled' }])
  t.same(cio.webhooks, [fakeWebhook()])
})
