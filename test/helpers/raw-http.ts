import { connect, type Socket } from 'node:net'
import { WEBHOOK_PATH } from './sign.ts'

export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** Sends raw bytes, which need not be HTTP, and reads the response until the peer closes or is silent. */
export function sendRaw(
  port: number,
  text: string | Buffer | readonly (string | Buffer)[],
  options: { readonly localAddress?: string; readonly end?: boolean; readonly silenceMs?: number } = {}
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const received: Buffer[] = []
    const socket: Socket = connect({
      port,
      host: '127.0.0.1',
      localAddress: options.localAddress ?? '127.0.0.1'
    })
    socket.setTimeout(options.silenceMs ?? 5000, () => socket.destroy())
    socket.on('data', chunk => {
      received.push(chunk)
      const answer = parse(Buffer.concat(received).toString('latin1'))
      if (answer === undefined) return
      socket.destroy()
      resolve(answer)
    })
    socket.on('error', reject)
    socket.on('close', () => {
      const text = Buffer.concat(received).toString('latin1')
      const answer = parse(text)
      if (answer === undefined) reject(new Error(`no answer: ${JSON.stringify(text)}`))
      else resolve(answer)
    })
    for (const part of Array.isArray(text) ? text : [text]) socket.write(part)
    if (options.end === true) socket.end()
  })
}

/** The first final response, or `undefined` if it is incomplete. */
function parse(text: string): RawAnswer | undefined {
  const rest = text.replace(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n/, '')
  const split = rest.indexOf('\r\n\r\n')
  if (split === -1) return undefined
  const head = rest.slice(0, split)
  const body = rest.slice(split + 4)
  const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0)
  if (body.length < length) return undefined
  return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]), head, body: body.slice(0, length) }
}

/** A POST to the webhook as bytes, with a `content-length` unless `headers` contain their own framing. */
export function postText(
  body: string | Buffer,
  headers: Readonly<Record<string, string | readonly string[]>>,
  path = WEBHOOK_PATH
): Buffer {
  const framed = 'content-length' in headers || 'transfer-encoding' in headers
  const lines = Object.entries({
    host: 'localhost',
    ...(framed ? {} : { 'content-length': String(Buffer.byteLength(body)) }),
    ...headers
  }).flatMap(([name, values]) => [values].flat().map(value => `${name}: ${value}`))
  return Buffer.concat([
    Buffer.from(`POST ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`),
    Buffer.from(body)
  ])
}
