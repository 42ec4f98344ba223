import type { IncomingHttpHeaders, Server } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'

interface PlayedRequest {
  readonly method: string
  /** With its query. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: each player knows what it expects
  readonly body: any
}

export interface PlayedReply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** A text as it is, anything else as JSON. */
  readonly body: unknown
}

/** A local server that plays the documented protocol of a service in the cloud. */
export interface PlayedServer {
  readonly url: string
  /** Each request, as `GET /path`, without its query. */
  readonly requests: string[]
  /** If set, the reply to every request. */
  answer: PlayedReply | undefined
  stop(): void
}

export async function createPlayedServer(
  server: Server | TlsServer,
  play: (request: PlayedRequest) => PlayedReply
): Promise<PlayedServer> {
  server.on('request', async (incoming, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    const { method = '', url = '', headers } = incoming
    played.requests.push(`${method} ${url.replace(/\?.*/, '')}`)
    const body: unknown = text.startsWith('{') ? JSON.parse(text) : undefined
    const reply = played.answer ?? play({ method, url, headers, text, body })
    response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers })
    response.end(typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const scheme = 'setSecureContext' in server ? 'https' : 'http'
  const played: PlayedServer = {
    url: `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    answer: undefined,
    stop: () => {
      server.close()
      server.closeAllConnections()
    }
  }
  return played
}
