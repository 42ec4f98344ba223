import { type AppApi, AppApiError } from '../../customerio/app-api.ts'
import {
  createReportingWebhook,
  type ReportingWebhook,
  updateReportingWebhook
} from '../../customerio/reporting-webhooks.ts'
import { uncertainNames } from '../../customerio/webhook-events.ts'
import { corrected, type Difference, type WantedWebhook, wantedNames } from './differences.ts'

/** The name that a new webhook has at Customer.io. */
const NAME = 'cio-webhook'

/**
 * Creates the webhook of a source. Without the names that not every version of the API accepts, if it declines them.
 *
 * @throws AppApiError
 */
export async function createWebhook(api: AppApi, wanted: WantedWebhook): Promise<ReportingWebhook> {
  const names = wantedNames(wanted.events)
  const create = (events: readonly string[]): Promise<ReportingWebhook> =>
    createReportingWebhook(api, {
      name: NAME,
      endpoint: wanted.endpoint,
      events,
      disabled: false,
      fullResolution: true,
      withContent: false
    })
  const certain = names.filter(name => !uncertainNames.has(name))
  try {
    return await create(names)
  } catch (error) {
    const isDeclined = error instanceof AppApiError && error.kind === 'declined'
    if (!isDeclined || certain.length === names.length || certain.length === 0) throw error
    return create(certain)
  }
}

/** Removes the differences. All fields are sent, since the API's description demands some of them. @throws AppApiError */
export const correctWebhook = (
  api: AppApi,
  webhook: ReportingWebhook,
  differences: readonly Difference[]
): Promise<ReportingWebhook> => updateReportingWebhook(api, webhook.id, corrected(webhook, differences))
