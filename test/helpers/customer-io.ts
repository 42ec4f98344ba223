import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { type AppApi, openAppApi } from '../../src/customerio/app-api.ts'
import { Secret } from '../../src/secret.ts'

interface FakeAnswer {
  readonly status: number
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
  readonly delayMs?: number
}

/** A reporting webhook in the shape of the App API. */
export interface FakeWebhook {
  readonly id: number
  readonly type: string
  name: string
  endpoint: string
  events: readonly string[]
  disabled: boolean
  full_resolution: boolean
  with_content: boolean
}

interface FakeRequest {
  readonly url: URL
  readonly body: unknown
  /** What the `*` of the route stands for. */
  readonly id: string
}

/** Answers a route of the App API for a valid key. */
type FakeRoute = (request: FakeRequest) => FakeAnswer

/** A server that responds as the Track and App APIs of Customer.io do; tests add and revoke its keys. */
export interface FakeCustomerIo {
  readonly trackUrl: string
  readonly appUrl: string
  /** Valid Track API keys: `<site id>:<api key>` → workspace id. */
  readonly trackKeys: Map<string, number>
  /** Valid App API keys. One of the other region or a revoked one is not in it. */
  readonly appKeys: Set<string>
  /** If set, the response to every request. */
  answer: FakeAnswer | undefined
  /** Responses to the next requests, before the usual ones. */
  readonly next: FakeAnswer[]
  /** Response of `GET /v1/info/ip_addresses`. */
  addresses: unknown
  readonly webhooks: FakeWebhook[]
  /** Routes of the App API, such as `GET /v1/reporting_webhooks/*`; tests add others. */
  readonly routes: Map<string, FakeRoute>
  readonly people: Set<string>
  /** Each request, as `GET /api/v1/accounts/region 200`. */
  readonly requests: string[]
  /** When each request came, in milliseconds of `performance.now()`. */
  readonly requestTimesMs: number[]
  close(): void
}

export async function startCustomerIo(t: Test): Promise<FakeCustomerIo> {
  const server = createServer((request, response) => {
    fake.requestTimesMs.push(performance.now())
    void respond(request).then(({ status, body, headers }) => {
      fake.requests.push(`${request.method} ${request.url} ${status}`)
      response
        .writeHead(status, { 'content-type': 'application/json', ...headers })
        .end(status === 204 ? undefined : body)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const fake: FakeCustomerIo = {
    trackUrl: `${base}/api/v1`,
    appUrl: `${base}/v1`,
    trackKeys: new Map(),
    appKeys: new Set(),
    answer: undefined,
    next: [],
    addresses: [],
    webhooks: [],
    routes: new Map(),
    people: new Set(),
    requests: [],
    requestTimesMs: [],
    close: () => {
      server.close()
      server.closeAllConnections()
    }
  }
  fake.routes.set('GET /v1/info/ip_addresses', () => ok({ ip_addresses: fake.addresses }))
  addWebhookRoutes(fake)
  t.teardown(fake.close)
  return fake

  async function respond(request: IncomingMessage): Promise<FakeAnswer> {
    const body = await json(request).catch(() => undefined)
    const chosen = fake.next.shift() ?? fake.answer ?? answer(request, body)
    if (chosen.delayMs !== undefined) await sleep(chosen.delayMs, undefined, { ref: false })
    return chosen
  }

  function answer({ method, url = '', headers }: IncomingMessage, body: unknown): FakeAnswer {
    const [scheme, credentials = ''] = (headers.authorization ?? '').split(' ')
    if (url.startsWith('/v1/')) {
      if (scheme !== 'Bearer' || !fake.appKeys.has(credentials)) return refused
      const address = new URL(url, base)
      const [, path = '', id = ''] = /^(\/v1\/\w+)\/([^/]+)$/.exec(address.pathname) ?? []
      const route = fake.routes.get(`${method} ${address.pathname}`) ?? fake.routes.get(`${method} ${path}/*`)
      return route?.({ url: address, body, id }) ?? notFound
    }
    const workspace = fake.trackKeys.get(Buffer.from(credentials, 'base64').toString())
    if (scheme !== 'Basic' || workspace === undefined) return refused
    if (url === '/api/v1/accounts/region') {
      const region = { url: 'track.customer.io', data_center: 'us', region: 'us', environment_id: workspace }
      return ok(region)
    }
    const person = /^\/api\/v1\/customers\/(.+)$/.exec(url)?.[1]
    if (person === undefined) return notFound
    if (method === 'PUT') fake.people.add(person)
    if (method === 'DELETE') fake.people.delete(person)
    return ok({})
  }
}

const refused = { status: 401, body: '{"meta":{"error":"Unauthorized request"}}' }
const notFound = { status: 404, body: '{}' }
const ok = (answer: unknown): FakeAnswer => ({ status: 200, body: JSON.stringify(answer) })

/** As described by Customer.io: the signing key is in no answer. */
function addWebhookRoutes({ routes, webhooks }: FakeCustomerIo): void {
  routes.set('GET /v1/reporting_webhooks', () => ok({ reporting_webhooks: webhooks }))
  routes.set('POST /v1/reporting_webhooks', ({ body }) => {
    const webhook: FakeWebhook = {
      id: 1 + Math.max(0, ...webhooks.map(({ id }) => id)),
      type: 'http',
      name: '',
      endpoint: '',
      events: [],
      disabled: false,
      full_resolution: false,
      with_content: false,
      ...(body as Partial<FakeWebhook>)
    }
    webhooks.push(webhook)
    return ok(webhook)
  })
  const one = (use: (webhook: FakeWebhook, body: unknown) => FakeAnswer): FakeRoute => {
    return ({ id, body }) => {
      const webhook = webhooks.find(each => String(each.id) === id)
      return webhook === undefined ? notFound : use(webhook, body)
    }
  }
  routes.set('GET /v1/reporting_webhooks/*', one(ok))
  routes.set(
    'PUT /v1/reporting_webhooks/*',
    one((webhook, body) => ok(Object.assign(webhook, body)))
  )
  routes.set(
    'DELETE /v1/reporting_webhooks/*',
    one(webhook => {
      webhooks.splice(webhooks.indexOf(webhook), 1)
      return { status: 204, body: '' }
    })
  )
}

/** The App API for a test, without waiting between requests. */
export const appApiOf = ({ appUrl }: FakeCustomerIo, key = 'app-key'): AppApi =>
  openAppApi({ account: { region: 'us', appUrl }, readKey: async () => new Secret(key), intervalMs: 0 })
