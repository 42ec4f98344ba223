import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface ReceivedRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly atMs: number
}

export type Behaviour = (request: ReceivedRequest, response: ServerResponse, count: number) => void

export interface TestReceiver {
  readonly url: string
  readonly port: number
  /** In order of arrival; empty with `keeps: false`. */
  readonly requests: readonly ReceivedRequest[]
  /** Number of open connections. */
  connections(): Promise<number>
  behave(behaviour: Behaviour): void
  stop(): Promise<void>
}

export const answers =
  (status: number, headers: Record<string, string> = {}): Behaviour =>
  (_request, response) => {
    response.writeHead(status, headers).end()
  }

/** An HTTP endpoint that responds as `behaviour` says. */
export async function startReceiver(
  behaviour: Behaviour = answers(204),
  wantedPort = 0,
  { keeps = true }: { readonly keeps?: boolean } = {}
): Promise<TestReceiver> {
  const requests: ReceivedRequest[] = []
  let count = 0
  let current = behaviour
  const server = createServer((request, response) => {
    void read(request).then(received => {
      if (keeps) requests.push(received)
      current(received, response, ++count)
    })
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>(resolve => server.listen(wantedPort, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/events`,
    port,
    requests,
    connections: () =>
      new Promise((resolve, reject) =>
        server.getConnections((error, count) => (error ? reject(error) : resolve(count)))
      ),
    behave: next => {
      current = next
    },
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}

async function read(request: IncomingMessage): Promise<ReceivedRequest> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk)
  return {
    headers: request.headers as Record<string, string>,
    body: Buffer.concat(chunks).toString(),
    atMs: performance.now()
  }
}
