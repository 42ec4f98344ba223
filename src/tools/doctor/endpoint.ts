import { randomBytes } from 'node:crypto'
import { DOCTOR, DOCTOR_USER_AGENT } from '../../event-types.ts'
import type { Secret } from '../../secret.ts'
import { type Answer, sendRawRequest, type NoAnswer } from '../send/raw-request.ts'
import { type Header, macBody, macV0, signatureHeaders } from '../send/sign.ts'
import { isInside } from './private-address.ts'
import type { RequestLimit } from './request-limit.ts'

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
  /** Does its duration say something of the receiver? Not if the doctor was slow, or had other requests in flight. */
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
  readonly key: Secret | undefined
  /** Unix milliseconds. */
  readonly now: () => number
  /** A certificate authority to believe besides the known ones, as PEM. */
  readonly ca?: string
}

/** How long the doctor waits for an answer. */
export const ANSWER_TIMEOUT_MS = 8000
/** An examination ends after this time, also if checks are left: with its report, within a minute. */
export const EXAMINATION_LIMIT_MS = 55_000
/** A request ends this much after the examination at the latest, so that a check is not judged by its end. */
const GRACE_MS = 250

/** What all checks of one examination share. */
export class ExaminationState {
  readonly heard: Heard[] = []
  readonly run = randomBytes(6).toString('hex')
  readonly endsAtMs = performance.now() + EXAMINATION_LIMIT_MS
  /** What authentic deliveries meet, and in plain words what there is to know about it. */
  standing: Standing = 'unknown'
  diagnosis = ''
  /** `object_type` of what is sent: the doctor's own, unless the receiver refuses types it does not know. */
  objectType = DOCTOR
  /** Makes requests wait for each other; `undefined`: none waits. */
  limit: RequestLimit | undefined
  events = 0
  sent = 0
  inFlight = 0

  get remainingMs(): number {
    return Math.max(0, this.endsAtMs - performance.now())
  }
}

/** The endpoint under examination: what can be asked of it, and what it has answered so far. */
export class Endpoint {
  readonly url: URL
  readonly ca: string | undefined
  readonly state: ExaminationState
  readonly #options: EndpointOptions
  readonly #check: string

  constructor(options: EndpointOptions, state = new ExaminationState(), check = '') {
    this.url = options.url
    this.ca = options.ca
    this.state = state
    this.#options = options
    this.#check = check
  }

  /** The same endpoint for another check, under whose id its answers are remembered. */
  forCheck(id: string): Endpoint {
    return new Endpoint(this.#options, this.state, id)
  }

  get heard(): readonly Heard[] {
    return this.state.heard
  }

  /** The right key, to sign with. */
  get key(): string | undefined {
    return this.#options.key?.reveal()
  }

  /** Unix seconds. */
  get nowSeconds(): number {
    return Math.floor(this.#options.now() / 1000)
  }

  /** Was the connection to a loopback or private address? Then the doctor is no outsider. `undefined`: none yet. */
  get fromInside(): boolean | undefined {
    const address = this.remoteAddress
    return address === undefined ? undefined : isInside(address)
  }

  get remoteAddress(): string | undefined {
    return this.heard.flatMap(({ reply }) => (reply.kind === 'answer' ? (reply.remoteAddress ?? []) : []))[0]
  }

  /** A fresh id, like no other of any run. */
  newId(): string {
    this.state.events += 1
    return `${DOCTOR}-${this.state.run}-${this.state.events}`
  }

  /** An event of nobody, marked as the doctor's. `changes` replace fields; `undefined` leaves one out. */
  event(changes: Readonly<Record<string, unknown>> = {}): Buffer {
    const event = {
      event_id: this.newId(),
      object_type: this.state.objectType,
      metric: this.state.objectType === DOCTOR ? 'examined' : 'sent',
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
    const { body = Buffer.alloc(0), timeoutMs = ANSWER_TIMEOUT_MS } = options
    const ask = async (): Promise<Reply> => {
      const others = this.state.inFlight++
      const before = ++this.state.sent
      const reply = await sendRawRequest({
        url,
        method,
        headers: [['user-agent', DOCTOR_USER_AGENT], ...headers],
        body: options.pieces ?? body,
        declaredBytes: options.declaredBytes,
        timeoutMs: Math.max(1, Math.min(timeoutMs, this.state.remainingMs + GRACE_MS)),
        verifyCertificate: false
      })
      this.state.inFlight--
      const wasAlone = others === 0 && this.state.sent === before
      const timed = wasAlone && (options.timed ?? true)
      const untoldMacs = this.#untoldMacs(body, headers)
      this.state.heard.push({ check: this.#check, method, reply, timed, untoldMacs })
      return reply
    }
    const { limit } = this.state
    return limit === undefined ? ask() : limit.run(ask)
  }

  #untoldMacs(body: Buffer, headers: readonly Header[]): readonly string[] {
    if (this.key === undefined || body.length === 0) return []
    const timestamp = headers.find(([name]) => name === 'x-cio-timestamp')?.[1]
    const macs = [macBody(this.key, body)]
    if (timestamp !== undefined) macs.push(macV0(this.key, body, timestamp))
    return macs.filter(mac => !headers.some(([, value]) => value.includes(mac)))
  }
}
