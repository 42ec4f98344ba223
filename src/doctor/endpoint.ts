import { randomBytes } from 'node:crypto'
import { BlockList, isIP } from 'node:net'
import { DOCTOR } from '../receive/event-type.ts'
import { type Answer, exchange, type NoAnswer } from '../send/exchange.ts'
import { type Header, macBody, macV0, signatureHeaders } from '../send/sign.ts'

export type Reply = Answer | NoAnswer

/** What an authentic delivery meets, found out before anything else is asked. */
export type Standing =
  | 'unknown'
  | 'accepted'
  | 'forbidden'
  | 'refused'
  | 'redirected'
  | 'unavailable'
  | 'slow'
  | 'silent'

/** Customer.io's own limit (its documentation, read 2026-11-24). */
export const SENDER_TIMEOUT_MS = 4000

/** One exchange that was had, for the questions that are asked of all answers. */
export interface Heard {
  readonly check: string
  readonly method: string
  readonly reply: Reply
  /** Does its duration say something of the receiver? Not where the doctor itself was slow. */
  readonly timed: boolean
  /** Right signatures of what was sent that were not sent: an answer that holds one gives them away. */
  readonly untoldMacs: readonly string[]
}

export interface PostOptions {
  readonly headers?: readonly Header[]
  /** `null`: none at all. */
  readonly contentType?: string | null
  /** How the body leaves, where that is not in one piece. */
  readonly pieces?: AsyncIterable<Buffer>
  /** What `content-length` says; `chunked`: the body is chunked. Default: the truth. */
  readonly declared?: number | 'chunked'
  readonly timeoutMs?: number
  readonly timed?: boolean
}

export interface SigningOptions {
  readonly key?: string
  readonly timestamp?: number | string
}

export interface EndpointOptions {
  readonly url: URL
  /** The right signing key; `undefined` where nothing is to be accepted. */
  readonly key: string | undefined
  /** Unix milliseconds. */
  readonly now: () => number
  readonly answerTimeoutMs?: number
  /** A certificate authority to believe besides the known ones, as PEM. */
  readonly ca?: string
}

const USER_AGENT = 'cio-webhook-doctor'
const ANSWER_TIMEOUT_MS = 8000

const inside = new BlockList()
for (const [network, prefix] of [
  ['127.0.0.0', 8],
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['169.254.0.0', 16]
] as const) {
  inside.addSubnet(network, prefix, 'ipv4')
}
inside.addAddress('::1', 'ipv6')
inside.addSubnet('fc00::', 7, 'ipv6')
inside.addSubnet('fe80::', 10, 'ipv6')

/** The endpoint under examination: what can be asked of it, and what it has answered so far. */
export class Endpoint {
  readonly url: URL
  readonly key: string | undefined
  readonly ca: string | undefined
  readonly heard: Heard[] = []
  standing: Standing = 'unknown'
  /** The first authentic delivery's answer, and in plain words what there is to know about it. */
  standingReply: Reply | undefined
  diagnosis = ''
  /** `object_type` of what is sent: the doctor's own, unless the receiver refuses types it does not know. */
  objectType = DOCTOR
  /** The check under way. */
  current = ''
  readonly #now: () => number
  readonly #answerTimeoutMs: number
  readonly #run = randomBytes(6).toString('hex')
  #events = 0

  constructor(options: EndpointOptions) {
    this.url = options.url
    this.key = options.key
    this.ca = options.ca
    this.#now = options.now
    this.#answerTimeoutMs = options.answerTimeoutMs ?? ANSWER_TIMEOUT_MS
  }

  /** Unix seconds. */
  get nowSeconds(): number {
    return Math.floor(this.#now() / 1000)
  }

  /** Was the connection to a loopback or private address? Then the doctor is no outsider. `undefined`: none yet. */
  get fromInside(): boolean | undefined {
    const address = this.remoteAddress
    return address === undefined ? undefined : inside.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
  }

  get remoteAddress(): string | undefined {
    return this.heard.flatMap(({ reply }) => (reply.kind === 'answer' ? (reply.remoteAddress ?? []) : []))[0]
  }

  /** A fresh id, like no other of any run. */
  newId(): string {
    this.#events += 1
    return `${DOCTOR}-${this.#run}-${this.#events}`
  }

  /** An event of nobody, marked as the doctor's. `changes` replace fields; `undefined` leaves one out. */
  event(changes: Readonly<Record<string, unknown>> = {}): Buffer {
    const event = {
      event_id: this.newId(),
      object_type: this.objectType,
      metric: this.objectType === DOCTOR ? 'examined' : 'sent',
      timestamp: this.nowSeconds,
      data: {
        customer_id: DOCTOR,
        delivery_id: DOCTOR,
        note: 'Sent by cio-webhook doctor to examine this endpoint. Nothing happened to anybody.'
      },
      ...changes
    }
    return Buffer.from(JSON.stringify(event))
  }

  /** Signed as Customer.io does, with the right key and now, unless told otherwise. */
  signed(body: Buffer, options: SigningOptions = {}): readonly Header[] {
    return signatureHeaders('v0', options.key ?? this.key ?? '', body, options.timestamp ?? this.nowSeconds)
  }

  signedBodyOnly(body: Buffer): readonly Header[] {
    return signatureHeaders('body', this.key ?? '', body, '')
  }

  /** Signed and posted: what should be accepted. */
  deliver(body: Buffer = this.event(), options: PostOptions & SigningOptions = {}): Promise<Reply> {
    return this.post(body, {
      ...options,
      headers: [...this.signed(body, options), ...(options.headers ?? [])]
    })
  }

  post(body: Buffer, options: PostOptions = {}): Promise<Reply> {
    const { declared = body.length, contentType = 'application/json' } = options
    const type: readonly Header[] = contentType === null ? [] : [['content-type', contentType]]
    return this.request('POST', this.url, [...type, ...(options.headers ?? [])], {
      body,
      pieces: options.pieces,
      declaredBytes: declared === 'chunked' ? undefined : declared,
      timeoutMs: options.timeoutMs,
      timed: options.timed
    })
  }

  async request(
    method: string,
    url: URL,
    headers: readonly Header[] = [],
    options: {
      readonly body?: Buffer
      readonly pieces?: AsyncIterable<Buffer> | undefined
      readonly declaredBytes?: number | undefined
      readonly timeoutMs?: number | undefined
      readonly timed?: boolean | undefined
    } = { declaredBytes: 0 }
  ): Promise<Reply> {
    const { body = Buffer.alloc(0), timed = true } = options
    const { current: check } = this
    const reply = await exchange({
      url,
      method,
      headers: [['user-agent', USER_AGENT], ...headers],
      body: options.pieces ?? body,
      declaredBytes: options.declaredBytes,
      timeoutMs: options.timeoutMs ?? this.#answerTimeoutMs,
      verifyCertificate: false
    })
    this.heard.push({ check, method, reply, timed, untoldMacs: this.#untoldMacs(body, headers) })
    return reply
  }

  #untoldMacs(body: Buffer, headers: readonly Header[]): readonly string[] {
    if (this.key === undefined || body.length === 0) return []
    const timestamp = headers.find(([name]) => name === 'x-cio-timestamp')?.[1]
    const macs = [macBody(this.key, body)]
    if (timestamp !== undefined) macs.push(macV0(this.key, body, timestamp))
    return macs.filter(mac => !headers.some(([, value]) => value.includes(mac)))
  }
}
