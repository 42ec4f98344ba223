// Tested by test/tools/doctor/promises.slow.test.ts.
import { randomBytes } from 'node:crypto'
import { compileAddressList, privateRanges } from '../../address-list.ts'
import { DOCTOR, DOCTOR_USER_AGENT } from '../../event-types.ts'
import type { Secret } from '../../secret.ts'
import { type Answer, type NoAnswer, sendRawRequest } from '../send/raw-request.ts'
import { type Header, macBody, macV0, signatureHeaders } from '../send/sign.ts'
import type { RequestLimit } from './request-limit.ts'

export type Reply = Answer | NoAnswer

/** How the endpoint treats an authentic delivery; found out before all other checks. */
export type Baseline =
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

/** A completed exchange, for the checks that examine all answers. */
export interface Exchange {
  readonly check: string
  readonly method: string
  readonly reply: Reply
  /** Whether the duration describes the endpoint: not if the doctor was slow or had other requests in flight. */
  readonly timed: boolean
  /** Right signatures of the body that were not sent: an answer that contains one reveals it. */
  readonly unsentSignatures: readonly string[]
}

interface RequestOptions {
  readonly headers?: readonly Header[]
  readonly body?: Buffer
  /** The body in pieces, if it is not sent at once. */
  readonly pieces?: AsyncIterable<Buffer>
  /** The value of `content-length`, or `chunked`. Default: the length of the body. */
  readonly declared?: number | 'chunked'
  readonly timeoutMs?: number
  /** False if the duration of the answer says nothing about the endpoint. */
  readonly timed?: boolean
}

interface PostOptions extends RequestOptions {
  /** `null`: no such header. */
  readonly contentType?: string | null
}

interface SigningOptions {
  readonly key?: string
  readonly timestamp?: number | string
}

export interface EndpointOptions {
  readonly url: URL
  /** The right signing key; `undefined` if no delivery has to be accepted. */
  readonly key: Secret | undefined
  /** Unix milliseconds. */
  readonly now: () => number
  /** A certificate authority to trust in addition to the known ones, as PEM. */
  readonly ca?: string
}

/** How long the doctor waits for an answer. */
const ANSWER_TIMEOUT_MS = 8000
/** A run ends after this time, also if checks are left, so that it ends with its report within a minute. */
const RUN_LIMIT_MS = 55_000
/** Requests may end this much later than the run, so that the run's end is not taken for an answer. */
const GRACE_MS = 250

const isPrivate = compileAddressList(privateRanges)

/** State shared by all checks of one run. */
export class RunState {
  readonly exchanges: Exchange[] = []
  readonly id = randomBytes(6).toString('hex')
  readonly endsAtMs = performance.now() + RUN_LIMIT_MS
  /** How authentic deliveries are treated, and in plain words why. */
  baseline: Baseline = 'unknown'
  diagnosis = ''
  /** `object_type` of what is sent: the doctor's own, unless the endpoint refuses unknown types. */
  objectType = DOCTOR
  /** Limits the requests in flight; `undefined`: no limit. */
  limit: RequestLimit | undefined
  events = 0
  sent = 0
  inFlight = 0

  get remainingMs(): number {
    return Math.max(0, this.endsAtMs - performance.now())
  }
}

/** The endpoint that is checked: sends requests to it and keeps its answers. */
export class Endpoint {
  readonly url: URL
  readonly ca: string | undefined
  readonly state: RunState
  readonly #options: EndpointOptions
  readonly #check: string

  constructor(options: EndpointOptions, state = new RunState(), check = '') {
    this.url = options.url
    this.ca = options.ca
    this.state = state
    this.#options = options
    this.#check = check
  }

  /** The same endpoint for another check; its answers are kept under the check's id. */
  forCheck(id: string): Endpoint {
    return new Endpoint(this.#options, this.state, id)
  }

  get exchanges(): readonly Exchange[] {
    return this.state.exchanges
  }

  /** The right signing key. */
  get key(): string | undefined {
    return this.#options.key?.reveal()
  }

  /** Unix seconds. */
  get nowSeconds(): number {
    return Math.floor(this.#options.now() / 1000)
  }

  /** Whether the endpoint has a loopback or private address: then the doctor is inside its network. `undefined`: not known yet. */
  get fromPrivateAddress(): boolean | undefined {
    const address = this.remoteAddress
    return address === undefined ? undefined : isPrivate(address)
  }

  get remoteAddress(): string | undefined {
    return this.exchanges.flatMap(({ reply }) =>
      reply.kind === 'answer' ? (reply.remoteAddress ?? []) : []
    )[0]
  }

  /** An id that no other run uses. */
  newId(): string {
    this.state.events += 1
    return `${DOCTOR}-${this.state.id}-${this.state.events}`
  }

  /** An event of no real person, marked as the doctor's. `changes` replace fields; `undefined` removes one. */
  event(changes: Readonly<Record<string, unknown>> = {}): Buffer {
    const event = {
      event_id: this.newId(),
      object_type: this.state.objectType,
      metric: this.state.objectType === DOCTOR ? 'checked' : 'sent',
      timestamp: this.nowSeconds,
      data: {
        customer_id: DOCTOR,
        delivery_id: DOCTOR,
        note: 'Sent by cio-webhook doctor to check this endpoint. It is about no real person.'
      },
      ...changes
    }
    return Buffer.from(JSON.stringify(event))
  }

  /** Signature headers as Customer.io sends them; by default with the right key and the current time. */
  signed(body: Buffer, options: SigningOptions = {}): readonly Header[] {
    return signatureHeaders('v0', options.key ?? this.key ?? '', body, options.timestamp ?? this.nowSeconds)
  }

  signedBodyOnly(body: Buffer): readonly Header[] {
    return signatureHeaders('body', this.key ?? '', body, '')
  }

  /** Signs and posts. */
  deliver(body: Buffer = this.event(), options: PostOptions & SigningOptions = {}): Promise<Reply> {
    return this.post(body, {
      ...options,
      headers: [...this.signed(body, options), ...(options.headers ?? [])]
    })
  }

  post(body: Buffer, { contentType = 'application/json', ...options }: PostOptions = {}): Promise<Reply> {
    const type: readonly Header[] = contentType === null ? [] : [['content-type', contentType]]
    return this.request('POST', this.url, {
      ...options,
      body,
      headers: [...type, ...(options.headers ?? [])]
    })
  }

  async request(method: string, url: URL, options: RequestOptions = {}): Promise<Reply> {
    const { headers = [], body = Buffer.alloc(0), declared = body.length } = options
    const send = async (): Promise<Reply> => {
      const others = this.state.inFlight++
      const before = ++this.state.sent
      const reply = await sendRawRequest({
        url,
        method,
        headers: [['user-agent', DOCTOR_USER_AGENT], ...headers],
        body: options.pieces ?? body,
        declaredBytes: declared === 'chunked' ? undefined : declared,
        timeoutMs: Math.max(
          1,
          Math.min(options.timeoutMs ?? ANSWER_TIMEOUT_MS, this.state.remainingMs + GRACE_MS)
        ),
        verifyCertificate: false
      })
      this.state.inFlight--
      const wasAlone = others === 0 && this.state.sent === before
      const timed = wasAlone && (options.timed ?? true)
      const unsentSignatures = this.#unsentSignatures(body, headers)
      this.state.exchanges.push({ check: this.#check, method, reply, timed, unsentSignatures })
      return reply
    }
    const { limit } = this.state
    return limit === undefined ? send() : limit.run(send)
  }

  #unsentSignatures(body: Buffer, headers: readonly Header[]): readonly string[] {
    if (this.key === undefined || body.length === 0) return []
    const timestamp = headers.find(([name]) => name === 'x-cio-timestamp')?.[1]
    const macs = [macBody(this.key, body)]
    if (timestamp !== undefined) macs.push(macV0(this.key, body, timestamp))
    return macs.filter(mac => !headers.some(([, value]) => value.includes(mac)))
  }
}
