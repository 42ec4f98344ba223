// Tested by test/tools/reconcile/reconcile.slow.test.ts.
import { z } from 'zod'
import { type AppApi, unexpectedAnswer } from './app-api.ts'

const text = z.string().nullish()
const number = z.union([z.number(), z.string()]).nullish()

/** A message as the App API lists it (Customer.io's API description and customerio-node 5.2, read 2026-11-26). */
const messageSchema = z.object({
  id: z.string().min(1).max(256),
  /** Object types of events; `twilio` for SMS. */
  type: z.string(),
  /** Unix seconds. */
  created: z.number().nullish(),
  /** Null, as the identifiers, if the person was deleted. */
  customer_id: text,
  customer_identifiers: z.object({ id: text, email: text, cio_id: text }).partial().nullish(),
  recipient: text,
  subject: text,
  failure_message: text,
  campaign_id: number,
  newsletter_id: number,
  broadcast_id: number,
  transactional_message_id: number,
  action_id: number,
  parent_action_id: number,
  content_id: number,
  trigger_event_id: text,
  /** Unix seconds, and some counts. */
  metrics: z.record(z.string(), z.unknown()).nullish()
})

/** A message that was created for one person. Recipient, subject, identifiers and failure text are personal data. */
export type SentMessage = z.infer<typeof messageSchema>

interface MessagePage {
  readonly messages: readonly SentMessage[]
  /** Items without an id or a type. */
  readonly unreadable: number
  /** Where the next page begins; `undefined` at the end. */
  readonly next: string | undefined
}

export interface MessageQuery {
  /** Unix seconds. The range counts when a message was created. */
  readonly fromSeconds: number
  readonly toSeconds: number
  readonly cursor: string | undefined
}

const PAGE_SIZE = 1000

/**
 * One page of the messages that were created in a range: `GET /v1/messages`, six months back at most. Drafts are left out.
 *
 * @throws AppApiError
 */
export async function listMessages(
  api: AppApi,
  { fromSeconds, toSeconds, cursor }: MessageQuery,
  signal: AbortSignal
): Promise<MessagePage> {
  const start = cursor === undefined ? {} : { start: cursor }
  const query = { ...start, limit: PAGE_SIZE, start_ts: fromSeconds, end_ts: toSeconds }
  const { messages: answer, next } = await api.call(client => client.getMessages(query), { signal })
  const list: unknown = answer === null ? [] : answer // as for reporting_webhooks
  if (!Array.isArray(list)) throw unexpectedAnswer(api, 'messages is not a list')
  const messages = list.flatMap(item => messageSchema.safeParse(item).data ?? [])
  // "Nothing is missing" would be wrong.
  if (list.length > 0 && messages.length === 0) throw unexpectedAnswer(api, 'no message has an id and a type')
  const isLast = typeof next !== 'string' || next === '' || (next === cursor && list.length < PAGE_SIZE)
  return { messages, unreadable: list.length - messages.length, next: isLast ? undefined : next }
}
