import { type AppApi, AppApiError, unexpectedAnswer } from './app-api.ts'

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

/** A webhook of which only the endpoint is known, because Customer.io shows it in another form than documented. */
export interface UnreadableWebhook {
  /** `undefined` if it is not valid either. */
  readonly id: ReportingWebhook['id'] | undefined
  readonly endpoint: string
  readonly error: AppApiError
}

export interface WebhookList {
  readonly webhooks: readonly ReportingWebhook[]
  /** They do not keep the others from being used. */
  readonly unreadable: readonly UnreadableWebhook[]
}

/** It is displayed, logged, and a part of URLs. */
const ID = /^[\w-]{1,64}$/

type WebhookSettings = Omit<ReportingWebhook, 'id'>

/**
 * All webhooks that post to an endpoint, of all sources; those of type `js` have none.
 *
 * @throws AppApiError
 */
export async function listReportingWebhooks(api: AppApi, signal?: AbortSignal): Promise<WebhookList> {
  const { reporting_webhooks: list } = await api.call(
    client => client.listReportingWebhooks(),
    signal === undefined ? {} : { signal }
  )
  // A program that has no list often writes null instead of an empty one.
  const items: unknown = list === null ? [] : list
  if (!Array.isArray(items)) throw unexpectedAnswer(api, 'reporting_webhooks is not a list')
  const webhooks: ReportingWebhook[] = []
  const unreadable: UnreadableWebhook[] = []
  for (const item of items) {
    if (!isObject(item) || typeof item['endpoint'] !== 'string') continue
    try {
      webhooks.push(parse(api, item))
    } catch (error) {
      if (!(error instanceof AppApiError)) throw error
      const { id, endpoint } = item
      unreadable.push({ id: isId(id) ? id : undefined, endpoint, error })
    }
  }
  return { webhooks, unreadable }
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

/**
 * Null is a field that was never set: no events, not disabled, and off, which is the default of both options. So a
 * webhook whose events are null is shown as one that sends nothing, never as one that sends everything.
 */
function parse(api: AppApi, item: unknown): ReportingWebhook {
  if (!isObject(item)) throw unexpectedAnswer(api, 'a webhook is not an object')
  const { id, name, endpoint } = item
  if (!isId(id)) throw unexpectedAnswer(api, 'a webhook has no valid id')
  const fail = (field: string) => unexpectedAnswer(api, `${field} of the webhook ${id} is missing or invalid`)
  const flag = (field: string): boolean => {
    const value = item[field] === null ? false : item[field]
    if (typeof value !== 'boolean') throw fail(field)
    return value
  }
  const events: unknown = item['events'] === null ? [] : item['events']
  if (typeof endpoint !== 'string') throw fail('endpoint')
  if (!Array.isArray(events) || !events.every(event => typeof event === 'string')) throw fail('events')
  return {
    id,
    name: typeof name === 'string' ? name : '',
    endpoint,
    events,
    disabled: flag('disabled'),
    fullResolution: flag('full_resolution'),
    withContent: flag('with_content')
  }
}

const isId = (id: unknown): id is ReportingWebhook['id'] =>
  (typeof id === 'number' || typeof id === 'string') && ID.test(String(id))

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
