import { randomUUID } from 'node:crypto'
import { type ClientRequest, request } from 'node:http'
import { type Headers, signV0 } from '../helpers/sign.ts'

interface Question {
  readonly port: number
  readonly path?: string
  readonly headers?: Headers
  /** Posted, where there is one. */
  readonly body?: string
  /** The loopback address to call from: each of 127.0.0.0/8 is one. */
  readonly from?: string
}

export interface Reply {
  readonly status: number
  readonly body: string
}

export function ask(question: Question): Promise<Reply> {
  const { call, reply } = open(question)
  call.end(question.body)
  return reply
}

interface SlowPost {
  readonly reply: Promise<Reply>
  sendRest(): void
}

/** Sends the first half of the body, and the rest when it is told to. Resolves once the half is under way. */
export async function askSlowly(question: Question & { readonly body: string }): Promise<SlowPost> {
  const { call, reply } = open(question)
  const half = Math.floor(question.body.length / 2)
  await new Promise<void>(written => call.write(question.body.slice(0, half), () => written()))
  return { reply, sendRest: () => call.end(question.body.slice(half)) }
}

function open({ port, path, headers, body, from = '127.0.0.1' }: Question): {
  readonly call: ClientRequest
  readonly reply: Promise<Reply>
} {
  const call = request({
    host: '127.0.0.1',
    port,
    localAddress: from,
    path: path ?? (body === undefined ? '/' : '/api/cio/webhook'),
    method: body === undefined ? 'GET' : 'POST',
    agent: false,
    timeout: 20_000,
    headers: {
      ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
      ...headers
    }
  })
  const reply = new Promise<Reply>((resolve, reject) => {
    call.once('error', reject)
    call.once('timeout', () => call.destroy(new Error('no answer in 20 s')))
    call.once('response', response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.once('error', reject)
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() })
      )
    })
  })
  return { call, reply }
}

export interface Delivery {
  readonly id: string
  readonly body: string
  readonly headers: Headers
}

/** An event of its own, signed. */
export function delivery(key?: string): Delivery {
  const id = randomUUID()
  const body = JSON.stringify({ event_id: id, object_type: 'email', metric: 'opened', timestamp: 1795510800 })
  return { id, body, headers: signV0(body, key) }
}

export const answered = (status: number, kind: string, { id }: Delivery): Reply => ({
  status,
  body: JSON.stringify({ status: kind, id })
})
