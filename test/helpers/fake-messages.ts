import type { FakeCustomerIo } from './customer-io.ts'

/** A message in the shape of the App API. Tests change single fields. */
export interface FakeMessage {
  id: string
  type: string
  created: number
  customer_id: string | null
  customer_identifiers: { id: string | null; email: string | null; cio_id: string | null } | null
  recipient: string | null
  subject: string | null
  failure_message: string | null
  campaign_id: number | null
  newsletter_id: number | null
  action_id: number | null
  /** Unix seconds, and the counts beside them. */
  metrics: Record<string, number>
}

export const fakeMessage = (id: string, created: number, change: Partial<FakeMessage> = {}): FakeMessage => ({
  id,
  type: 'email',
  created,
  customer_id: `customer-of-${id}`,
  customer_identifiers: { id: `customer-of-${id}`, email: `${id.toLowerCase()}@example.com`, cio_id: 'c10' },
  recipient: `${id.toLowerCase()}@example.com`,
  subject: 'Welcome, Ada',
  failure_message: null,
  campaign_id: 23,
  newsletter_id: null,
  action_id: 42,
  metrics: { created, drafted: created, sent: created + 5, delivered: created + 9, human_opened: 0 },
  ...change
})

/**
 * `GET /v1/messages` as described by Customer.io: newest first, a cursor in `next` that is empty on the last page, the
 * range by the time of creation. Only the metrics that were recorded until now are there.
 */
export function serveMessages({ routes }: FakeCustomerIo, messages: readonly FakeMessage[]): void {
  const sorted = () => messages.toSorted((a, b) => b.created - a.created)
  let cached: readonly FakeMessage[] = []
  routes.set('GET /v1/messages', ({ url }) => {
    const number = (name: string, fallback: number) => Number(url.searchParams.get(name) ?? fallback)
    const limit = number('limit', 50)
    if (limit > 1000) return { status: 400, body: '{"errors":[{"detail":"limit must be at most 1000"}]}' }
    if (cached.length !== messages.length) cached = sorted()
    const [from, to] = [number('start_ts', 0), number('end_ts', Infinity)]
    const inRange = cached.filter(({ created }) => created >= from && created <= to)
    const start = Number(Buffer.from(url.searchParams.get('start') ?? '', 'base64').toString() || 0)
    const next = start + limit < inRange.length ? Buffer.from(String(start + limit)).toString('base64') : ''
    return { status: 200, body: JSON.stringify({ messages: inRange.slice(start, start + limit), next }) }
  })
}
