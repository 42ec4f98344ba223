import { isIP } from 'node:net'
import rateLimit from '@fastify/rate-limit'
import underPressure from '@fastify/under-pressure'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/config.ts'
import { DEFAULT_SOURCE, type Source } from '../config/sources.ts'
import type { KeyUsage } from '../credentials/key-usage.ts'
import { type RefusalCode, UnavailableError } from '../errors.ts'
import type { EventLog } from '../log/event-log.ts'
import { refuse } from '../ops/answers.ts'
import type { Logger } from '../ops/logger.ts'
import type { Metrics, Outcome } from '../ops/metrics.ts'
import { createDeadline } from './deadline.ts'
import type { Delivery } from './delivery.ts'
import { parseDelivery } from './event.ts'
import { keepDelivery } from './keep.ts'
import { recordDelivery } from './record.ts'
import { verifySignature } from './signature.ts'
import type { Admission } from './source-ip.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set while a delivery is under way; `undefined` on every other route. */
    delivery: Delivery | undefined
  }
}

export interface ReceiverDependencies {
  readonly config: Pick<Config, 'sources' | 'admission' | 'signature'>
  readonly eventLog: EventLog
  readonly metrics: Metrics
  readonly keyUsage: Pick<KeyUsage, 'seen'>
  readonly admission: Admission
  readonly log: Logger
  /** Unix milliseconds. */
  readonly now: () => number
}

export const WEBHOOK_PATH = '/api/cio/webhook'

const BODY_LIMIT_BYTES = 5 * 1024 * 1024
/** Customer.io hangs up after 4 s; half a second is left for the way. Covers a slow body and a slow Redis alike. */
const DEADLINE_MS = 3400
/** A sample's mean delay of the event loop from which new deliveries are turned away, so that old ones are in time. */
const OVERLOADED_LOOP_DELAY_MS = 2000
const RETRY_AFTER_SECONDS = 5

const BYTES = 'application/octet-stream'
const NO_BODY = Buffer.alloc(0)

/** The receiver: a signed webhook goes in, a clean event comes out. Reads from top to bottom as a delivery's way. */
export async function receiver(app: FastifyInstance, dependencies: ReceiverDependencies): Promise<void> {
  const { config, eventLog, metrics, keyUsage, admission, log, now } = dependencies
  const { policy, maxFailures, windowMs } = config.admission

  app.decorateRequest('delivery', undefined)
  app.addContentTypeParser(BYTES, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))

  const isOverloaded = await watchLoad(app)
  await app.register(rateLimit, { global: false, max: maxFailures, timeWindow: windowMs })
  const failures = app.createRateLimit()

  const deadline = createDeadline(DEADLINE_MS, reply => {
    if (reply.request.delivery !== undefined) reply.request.delivery.reason = 'deadline'
    refuseDelivery(reply, 'CIO_UNAVAILABLE', RETRY_AFTER_SECONDS)
  })

  app.addHook('onRequest', admit)
  app.addHook('onResponse', record)
  app.addHook('onClose', async () => deadline.close())
  const options = { bodyLimit: BODY_LIMIT_BYTES }
  app.post(WEBHOOK_PATH, options, receive)
  app.post(`${WEBHOOK_PATH}/:source`, options, receive)

  /** What can be told from the connection alone: is the source known, the address allowed, the caller no pest? */
  function admit(request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
    // Whatever the sender calls it, a body is bytes until it is verified.
    request.raw.headers['content-type'] = BYTES
    const delivery = begin(request)
    if (delivery === undefined) {
      refuse(reply, 'CIO_NOT_FOUND')
      return
    }
    if (isGone(request)) {
      refuse(reply, 'CIO_BAD_REQUEST')
      return
    }
    if (isOverloaded()) {
      delivery.reason = 'overloaded'
      refuseDelivery(reply, 'CIO_UNAVAILABLE', RETRY_AFTER_SECONDS)
      return
    }
    deadline.start(reply)
    const mayBePest = delivery.forbidden && policy === 'enforce' && !admission.listed(delivery.address)
    if (mayBePest) admitUnlessLimited(request, reply, done).catch(done)
    else done()
  }

  async function admitUnlessLimited(
    request: FastifyRequest,
    reply: FastifyReply,
    done: () => void
  ): Promise<void> {
    const attempts = await failures(request, { increment: false })
    if (attempts.isAllowed || !attempts.isExceeded) done()
    else refuseDelivery(reply, 'CIO_RATE_LIMITED', attempts.ttlInSeconds)
  }

  async function receive(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const delivery = request.delivery as Delivery
    const { source } = delivery
    const bytes = Buffer.isBuffer(request.body) ? request.body : NO_BODY
    const receivedAtMs = now()
    delivery.bytes = bytes.length

    const verdict = verifySignature(
      source,
      request.headers,
      bytes,
      Math.floor(receivedAtMs / 1000),
      config.signature.toleranceSeconds
    )
    if (!verdict.authentic) {
      delivery.reason = verdict.reason
      metrics.signatureFailure(source, verdict.reason)
      return refuseFailure(request, reply, delivery)
    }
    delivery.key = verdict.key
    metrics.signatureKey(source, verdict.key)
    keyUsage.seen(source.name, verdict.keyId)
    if (delivery.forbidden) {
      metrics.forbiddenButAuthentic(source)
      if (policy === 'enforce') return refuseDelivery(reply, 'CIO_SOURCE_FORBIDDEN')
    }

    const parsed = parseDelivery(verdict.body, {
      source,
      receivedAtMs,
      timestamp: headerText(request, 'x-cio-timestamp') ?? '',
      idHeader: source.idHeader && headerText(request, source.idHeader),
      parkedAs: undefined
    })
    delivery.id = parsed.id
    delivery.type = parsed.type
    if (parsed.parked !== undefined) delivery.parked = parsed.parked
    if (parsed.happenedAtMs !== undefined) {
      delivery.ageSeconds = Math.max(0, (receivedAtMs - parsed.happenedAtMs) / 1000)
    }

    const kept = await keepDelivery(parsed, eventLog)
    delivery.logMs = kept.logMs
    if (reply.sent) return reply // too late: the deadline has answered
    const status =
      kept.outcome === 'duplicate' ? 'duplicate' : parsed.parked === undefined ? 'accepted' : 'parked'
    delivery.outcome = status
    return reply
      .header('content-type', 'application/json; charset=utf-8')
      .send(`{"status":"${status}","id":${JSON.stringify(parsed.id)}}`)
  }

  /** Only failures are counted, and never those of an address that Customer.io shares among its tenants. */
  async function refuseFailure(
    request: FastifyRequest,
    reply: FastifyReply,
    delivery: Delivery
  ): Promise<FastifyReply> {
    if (!admission.listed(delivery.address) && !isGone(request)) {
      const attempts = await failures(request)
      if (!attempts.isAllowed && attempts.isExceeded) {
        return refuseDelivery(reply, 'CIO_RATE_LIMITED', attempts.ttlInSeconds)
      }
    }
    const enforced = delivery.forbidden && policy === 'enforce'
    return refuseDelivery(reply, enforced ? 'CIO_SOURCE_FORBIDDEN' : 'CIO_SIGNATURE_INVALID')
  }

  function begin(request: FastifyRequest): Delivery | undefined {
    const source = sourceOf(request)
    if (source === undefined) return undefined
    // A proxy can pass anything on: what is no address stays out of the log, and is on no list.
    const address = isIP(request.ip) === 0 ? 'unknown' : request.ip
    request.delivery ??= {
      source,
      address,
      startedMs: performance.now(),
      forbidden: !admission.allowed(address)
    }
    return request.delivery
  }

  function sourceOf(request: FastifyRequest): Source | undefined {
    const { source = DEFAULT_SOURCE } = request.params as { source?: string }
    return config.sources.get(source)
  }

  function record(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    if (request.delivery !== undefined) {
      deadline.done(reply)
      recordDelivery(request.delivery, reply.statusCode, performance.now(), metrics, log)
    }
    done()
  }
}

/**
 * The plugin's own hook looks up the route of each request, which costs more than all the rest of it. So it gets a
 * corner without routes, and is asked instead.
 *
 * @returns is the event loop too far behind to answer new deliveries in time?
 */
async function watchLoad(app: FastifyInstance): Promise<() => boolean> {
  let isOverloaded = () => false
  await app.register(async corner => {
    await corner.register(underPressure, { maxEventLoopDelay: OVERLOADED_LOOP_DELAY_MS })
    isOverloaded = () => corner.isUnderPressure()
  })
  return () => isOverloaded()
}

/** Who has reset the connection has no address any more, and reads no answer. */
const isGone = (request: FastifyRequest): boolean => request.raw.socket.remoteAddress === undefined

function headerText(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}

const refusedOutcomes: Partial<Record<RefusalCode, Outcome>> = {
  CIO_SIGNATURE_INVALID: 'signature_invalid',
  CIO_SOURCE_FORBIDDEN: 'source_forbidden',
  CIO_RATE_LIMITED: 'rate_limited',
  CIO_BODY_TOO_LARGE: 'too_large',
  CIO_UNAVAILABLE: 'unavailable'
}

/** Refuses, and notes on the delivery what became of it. */
export function refuseDelivery(
  reply: FastifyReply,
  code: RefusalCode,
  retryAfterSeconds?: number
): FastifyReply {
  const { delivery } = reply.request
  const outcome = refusedOutcomes[code]
  if (delivery !== undefined && outcome !== undefined) delivery.outcome = outcome
  return refuse(reply, code, retryAfterSeconds)
}

/** What a failure below the route means for the sender. An authentic delivery's is never worse than a 503. */
export function refuseError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const { delivery } = request
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return refuseDelivery(reply, 'CIO_BODY_TOO_LARGE')
  if (delivery !== undefined) {
    if (error instanceof UnavailableError) delivery.reason = error.reason
    delivery.cause = error
  }
  return refuseDelivery(reply, 'CIO_UNAVAILABLE', RETRY_AFTER_SECONDS)
}
