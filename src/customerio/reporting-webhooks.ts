import { type AppApi, unexpectedAnswer } from './app-api.ts'

/** A webhook as the App API shows it (`reporting_webhooks`; Customer.io's API description, read 2026-11-26). */
export interface ReportingWebhook {
  readonly id: string | number
  readonly name: string
  readonly endpoint: string
  /** Names of the API, such as `email_opened`: see webhook-events.ts. */
  readonly events: readonly string[]
  readonly disabled: boolean
  /** Whether every open and click is sent, or only the first of each person. */
  readonly fullResolution: boolean
  /** Whether `sent` events contain the whole message. */
  readonly withContent: boolean
}

/** It is displayed, logged, and a part of URLs. */
const ID = /^[\w-]{1,64}$/

type WebhookSettings = Omit<ReportingWebhook, 'id'>

/**
 * All webhooks that post to an endpoint, of all sources; those of type `js` have none.
 *
 * @throws AppApiError
 */
export async function listReportingWebhooks(
  api: AppApi,
  signal?: AbortSignal
): Promise<readonly ReportingWebhook[]> {
  const { reporting_webhooks: list } = await api.call(
    client => client.listReportingWebhooks(),
    signal === undefined ? {} : { signal }
  )
  if (!Array.isArray(list)) throw unexpectedAnswer(api, 'reporting_webhooks is not a list')
  return list
    .filter(item => isObject(item) && typeof item['endpoint'] === 'string')
    .map(item => parse(api, item))
}

/**
 * Sent once: a repetition after an unknown outcome could create a second webhook, and every event would come twice.
 *
 * @throws AppApiError
 */
export async function createReportingWebhook(
  api: AppApi,
  settings: WebhookSettings
): Promise<ReportingWebhook> {
  const answer = await api.call(
    client =>
      client.createReportingWebhook({
        ...toApi(settings),
        endpoint: settings.endpoint,
        events: [...settings.events]
      }),
    {
      attempts: 1
    }
  )
  return parse(api, answer)
}

/** Changes the given fields only. @throws AppApiError */
export async function updateReportingWebhook(
  api: AppApi,
  id: ReportingWebhook['id'],
  changes: Partial<WebhookSettings>
): Promise<ReportingWebhook> {
  return parse(api, await api.call(client => client.updateReportingWebhook(id, toApi(changes))))
}

/** The names of the App API. */
function toApi({ fullResolution, withContent, events, ...others }: Partial<WebhookSettings>) {
  return {
    ...others,
    ...(events === undefined ? {} : { events: [...events] }),
    ...(fullResolution === undefined ? {} : { full_resolution: fullResolution }),
    ...(withContent === undefined ? {} : { with_content: withContent })
  }
}

function parse(api: AppApi, item: unknown): ReportingWebhook {
  if (!isObject(item)) throw unexpectedAnswer(api, 'a webhook is not an object')
  const { id, name, endpoint, events, disabled, full_resolution, with_content } = item
  if ((typeof id !== 'number' && typeof id !== 'string') || !ID.test(String(id))) {
    throw unexpectedAnswer(api, 'a webhook has no valid id')
  }
  const fail = (field: string) => unexpectedAnswer(api, `${field} of the webhook ${id} is missing or invalid`)
  if (typeof endpoint !== 'string') throw fail('endpoint')
  if (!Array.isArray(events) || !events.every(event => typeof event === 'string')) throw fail('events')
  if (typeof disabled !== 'boolean') throw fail('disabled')
  if (typeof full_resolution !== 'boolean') throw fail('full_resolution')
  if (typeof with_content !== 'boolean') throw fail('with_content')
  return {
    id,
    name: typeof name === 'string' ? name : '',
    endpoint,
    events,
    disabled,
    fullResolution: full_resolution,
    withContent: with_content
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
