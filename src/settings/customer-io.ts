import { Secret } from '../secret.ts'
import type { Values } from './variables.ts'

/** What it takes to ask Customer.io something. */
export interface CustomerIo {
  readonly region: 'us' | 'eu'
  readonly trackUrl: string | undefined
  readonly appUrl: string | undefined
  readonly siteId: Secret | undefined
  readonly apiKey: Secret | undefined
  readonly appApiKey: Secret | undefined
}

export const customerIo = (values: Values): CustomerIo => ({
  region: values.CIO_REGION,
  trackUrl: values.CIO_TRACK_URL,
  appUrl: values.CIO_APP_URL,
  siteId: asSecret(values.CIO_SITE_ID),
  apiKey: asSecret(values.CIO_API_KEY),
  appApiKey: asSecret(values.CIO_APP_API_KEY)
})

const asSecret = (value: string | undefined): Secret | undefined =>
  value === undefined ? undefined : new Secret(value)
