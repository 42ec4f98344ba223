import type { ReportingWebhook } from '../../src/customerio/reporting-webhooks.ts'
import { uncertainNames, webhookEventNames } from '../../src/customerio/webhook-events.ts'
import type { FakeWebhook } from './customer-io.ts'

export const ENDPOINT = 'https://hooks.example.com/api/cio/webhook'

/** Every name that the App API certainly accepts. */
export const allNames = webhookEventNames(() => true).filter(name => !uncertainNames.has(name))

/** A webhook as it should be, changed by `changes`. */
export const goodWebhook = (changes: Partial<ReportingWebhook> = {}): ReportingWebhook => ({
  id: 7,
  name: 'ours',
  endpoint: ENDPOINT,
  events: allNames,
  disabled: false,
  fullResolution: true,
  withContent: false,
  ...changes
})

/** The same in the shape of the App API. */
export const fakeWebhook = (changes: Partial<FakeWebhook> = {}): FakeWebhook => ({
  id: 7,
  type: 'http',
  name: 'ours',
  endpoint: ENDPOINT,
  events: allNames,
  disabled: false,
  full_resolution: true,
  with_content: false,
  ...changes
})
