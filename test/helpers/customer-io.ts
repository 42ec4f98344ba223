import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/** A server that responds as the Track and App APIs of Customer.io do; tests add and revoke its keys. */
interface FakeCustomerIo {
  readonly trackUrl: string
  readonly appUrl: string
  /** Valid Track API keys: `<site id>:<api key>` → workspace id. */
  readonly trackKeys: Map<string, number>
  readonly appKeys: Set<string>
  /** If set, the response to every request. */
  answer: { readonly status: number; readonly body: string } | undefined
  /** Response of `GET /v1/info/ip_addresses`. */
  addresses: unknown
  readonly people: Set<string>
  /** Each request, as `GET /api/v1/accounts/region 200`. */
  readonly requests: string[]
  close(): void
}

export async function startCustomerIo(t: Test): Promise<FakeCustomerIo> {
  const server = createServer((request, response) => {
    request.resume()
    const { status, body } = fake.answer ?? answer(request)
    fake.requests.push(`${request.method} ${request.url} ${status}`)
    response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const fake: FakeCustomerIo = {
    trackUrl: `${base}/api/v1`,
    appUrl: `${base}/v1`,
    trackKeys: new Map(),
    appKeys: new Set(),
    answer: undefined,
    addresses: [],
    people: new Set(),
    requests: [],
    close: () => {
      server.close()
      server.closeAllConnections()
    }
  }
  t.teardown(fake.close)
  return fake

  function answer({ method, url = '', headers }: IncomingMessage): { status: number; body: string } {
    const [scheme, credentials = ''] = (headers.authorization ?? '').split(' ')
    if (url === '/v1/info/ip_addresses') {
      if (scheme !== 'Bearer' || !fake.appKeys.has(credentials)) return refused
      return { status: 200, body: JSON.stringify({ ip_addresses: fake.addresses }) }
    }
    const workspace = fake.trackKeys.get(Buffer.from(credentials, 'base64').toString())
    if (scheme !== 'Basic' || workspace === undefined) return refused
    if (url === '/api/v1/accounts/region') {
      const region = { url: 'track.customer.io', data_center: 'us', region: 'us', environment_id: workspace }
      return { status: 200, body: JSON.stringify(region) }
    }
    const person = /^\/api\/v1\/customers\/(.+)$/.exec(url)?.[1]
    if (person === undefined) return { status: 404, body: '{}' }
    if (method === 'PUT') fake.people.add(person)
    if (method === 'DELETE') fake.people.delete(person)
    return { status: 200, body: '{}' }
  }
}

const refused = { status: 401, body: '{"meta":{"error":"Unauthorized request"}}' }
