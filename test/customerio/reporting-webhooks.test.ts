import { deepEqual, equal } from 'node:assert/strict'
import fc from 'fast-check'
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
  t.equal((await listReportingWebhooks(api)).webhooks.length, 1)
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
  t.same((await listReportingWebhooks(api)).webhooks, [
    { id: 7, ...settings },
    { id: 'w7', ...settings }
  ])
})

t.test('a webhook without an endpoint, such as one of type js, is left out', async t => {
  const { cio, api } = await startWithKey(t)
  cio.answer = { status: 200, body: '{"reporting_webhooks":[{"id":3,"type":"js"}]}' }
  t.same(await listReportingWebhooks(api), { webhooks: [], unreadable: [] })
})

t.test('a creation with an unknown outcome is not repeated, or there would be two webhooks', async t => {
  const { cio, api } = await startWithKey(t)
  cio.next.push({ status: 503, body: '{}' })
  await t.rejects(createReportingWebhook(api, settings), { message: 'status 503' })
  t.same(cio.requests, ['POST /v1/reporting_webhooks 503'])
})

t.test('an answer of another form is refused', async t => {
  const { cio, api } = await startWithKey(t)
  cio.answer = { status: 200, body: '{}' }
  await t.rejects(listReportingWebhooks(api), { message: 'reporting_webhooks is not a list' })
  await t.rejects(createReportingWebhook(api, settings), { message: /: a webhook has no valid id;/ })
})

t.test('if the list is null, there is no webhook', async t => {
  const { cio, api } = await startWithKey(t)
  cio.answer = { status: 200, body: '{"reporting_webhooks":null}' }
  t.same(await listReportingWebhooks(api), { webhooks: [], unreadable: [] })
})

t.test('an unreadable webhook is listed with the field', async t => {
  const { cio, api } = await startWithKey(t)
  const webhook = { id: 7, name: 'x', endpoint: 'https://x', events: [], disabled: false }
  const { full_resolution: _, ...partial } = { ...webhook, full_resolution: true, with_content: false }
  for (const [item, id, problem] of [
    [partial, 7, 'full_resolution of the webhook 7'],
    [{ ...webhook, disabled: 'no' }, 7, 'disabled of the webhook 7'],
    [{ ...webhook, events: [1] }, 7, 'events of the webhook 7'],
    [{ ...webhook, id: '7\u001b[2J' }, undefined, /: a webhook has no valid id;/],
    [{ ...webhook, id: [7] }, undefined, /: a webhook has no valid id;/]
  ] as const) {
    cio.answer = { status: 200, body: JSON.stringify({ reporting_webhooks: [item] }) }
    const { webhooks, unreadable } = await listReportingWebhooks(api)
    t.same(webhooks, [])
    t.match(unreadable, [{ id, endpoint: 'https://x', error: { kind: 'malformed', message: problem } }])
  }
})

/** A webhook in the shape of the App API, with any of the fields that Customer.io may leave empty. */
const nullable = {
  name: fc.constantFrom('cio-webhook', '', null),
  events: fc.constantFrom(['email_sent'], [], null),
  disabled: fc.constantFrom(true, false, null),
  full_resolution: fc.constantFrom(true, false, null),
  with_content: fc.constantFrom(true, false, null)
}

t.test(
  'null in a field means that it was never set, and any other oddity stops no other webhook',
  async t => {
    const { cio, api } = await startWithKey(t)
    const record = fc.record({ id: fc.integer({ min: 1 }), endpoint: fc.webUrl(), ...nullable })
    const odd = fc
      .tuple(record, fc.constantFrom('id', 'events', 'disabled', 'full_resolution', 'with_content'))
      .chain(([webhook, field]) =>
        fc.constantFrom(undefined, {}, [null], 1.5).map(value => ({ ...webhook, [field]: value }))
      )
    const noEndpoint = fc.constantFrom(null, 1, 'x', [], { endpoint: null }, { id: 4, type: 'js' })
    const lists = fc.tuple(
      fc.array(fc.oneof(odd, noEndpoint), { maxLength: 4 }),
      fc.array(record, { maxLength: 4 })
    )
    await fc.assert(
      fc.asyncProperty(lists, fc.boolean(), async ([oddOnes, records], isOddFirst) => {
        const list = isOddFirst ? [...oddOnes, ...records] : [...records, ...oddOnes]
        cio.answer = { status: 200, body: JSON.stringify({ reporting_webhooks: list }) }
        const { webhooks, unreadable } = await listReportingWebhooks(api)
        const expected = records.map(({ id, name, endpoint, events, ...flags }) => ({
          id,
          name: name ?? '',
          endpoint,
          events: events ?? [],
          disabled: flags.disabled ?? false,
          fullResolution: flags.full_resolution ?? false,
          withContent: flags.with_content ?? false
        }))
        deepEqual(webhooks, expected)
        const withEndpoint = oddOnes.filter(
          item => item instanceof Object && 'endpoint' in item && item.endpoint !== null
        )
        equal(unreadable.length, withEndpoint.length)
      })
    )
  }
)
