import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseAddress } from '../address.ts'
import { compileAddressList } from '../address-list.ts'
import { createTurns } from '../async/turns.ts'
import { UnavailableError } from '../errors.ts'
import { DOCTOR_USER_AGENT } from '../event-types.ts'
import type { EventLog } from '../log/append.ts'
import type { Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { Tracing } from '../ops/spans.ts'
import type { Config } from '../settings/config.ts'
import { createAddressAdvice, type RefusedDelivery, wrongVariable } from './address-advice.ts'
import type { AdmittedBody } from './body.ts'
import { createDeadline } from './deadline.ts'
import type { Delivery } from './delivery.ts'
import type { DeliveryCounter } from './delivery-counter.ts'
import { startDeliverySpan } from './delivery-span.ts'
import { countFailedAttempts } from './failed-attempts.ts'
import type { IpAllowlist } from './ip-allowlist.ts'
import { keepDelivery } from './keep.ts'
import type { KeyUsageReporter } from './key-usage-reporter.ts'
import { watchLoad } from './load.ts'
import { type ParsedDelivery, parseDelivery } from './log-entry.ts'
import { createOnRequest } from './on-request.ts'
import { recordDelivery } from './record.ts'
import { createRefusals } from './refusal.ts'
import { type VerifiedBody, verifySignature } from './signature.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set while a delivery is in flight; `undefined` on every other route. */
    delivery: Delivery | undefined
  }
}

export interface ReceiverDependencies {
  readonly config: Pick<Config, 'sources' | 'admission' | 'signature'>
  readonly eventLog: EventLog
  readonly metrics: Metrics
  readonly keyUsage: Pick<KeyUsageReporter, 'record'>
  readonly deliveryCounter: Pick<DeliveryCounter, 'record'>
  readonly ipAllowlist: IpAllowlist
  /** `undefined`: traces are off. */
  readonly tracing: Tracing | undefined
  readonly log: Logger
  /** Unix milliseconds. */
  readonly now: () => number
}

export const WEBHOOK_PATH = '/api/cio/webhook'

/**
 * Customer.io closes the connection after 4 s, and every request is answered within 3.5 s (law 7). The rest is for the
 * network, and for an answer that is almost ready. Covers slow bodies and a slow Redis.
 */
const DEADLINE_MS = 3350
/** Bodies from this size on are processed one per turn of the event loop, so that small ones wait for one at most. */
const LARGE_BODY_BYTES = 256 * 1024
/** Upper limit of what a body costs: 200 ms per MiB (law 9). */
const MAX_WORK_MS_PER_BYTE = 200 / (1024 * 1024)

/**
 * The receiver: from a signed webhook to an event in the log. Fastify runs the hook (onRequest) and then the handler
 * (receive), which reads the body; registered in a scope of its own, so other routes are not affected.
 */
export async function receiver(app: FastifyInstance, dependencies: ReceiverDependencies): Promise<void> {
  const { config, eventLog, metrics, keyUsage, deliveryCounter, ipAllowlist, tracing, log, now } =
    dependencies

  const load = watchLoad()
  const failures = await countFailedAttempts(app, config.admission)
  const nextTurn = createTurns()
  const isTrustedProxy = compileAddressList(config.admission.trustedProxies)
  const adviseOnAddress = createAddressAdvice(log)
  const refusals = createRefusals(failures, record)
  const deadline = createDeadline(DEADLINE_MS, reply => {
    const { delivery } = reply.request
    if (delivery === undefined) return
    delivery.reason = 'deadline'
    const isReading = delivery.body?.cancel() === true
    if (!isReading) refusals.refuse(reply, delivery, 'CIO_UNAVAILABLE')
  })

  app.decorateRequest('delivery', undefined)
  app.addHook('onRequest', createOnRequest({ config, ipAllowlist, failures, refusals, deadline, load }))
  app.setErrorHandler(refusals.refuseError)
  app.addHook('onClose', async () => {
    deadline.close()
    load.stop()
  })
  app.post(WEBHOOK_PATH, receive)
  app.post(`${WEBHOOK_PATH}/:source`, receive)

  async function receive(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const delivery = request.delivery as Delivery
    const admitted = delivery.body as AdmittedBody
    try {
      const body = await admitted.read(request.raw)
      const receivedAtMs = now()
      const verified = authenticate(request, delivery, body, receivedAtMs)
      if (verified === undefined) return await refusals.refuseUnauthentic(reply, delivery)
      if (delivery.barred) {
        adviseOnAddress(addressesOf(request, delivery))
        return refusals.refuse(reply, delivery, 'CIO_SOURCE_FORBIDDEN')
      }
      if (verified.length >= LARGE_BODY_BYTES) await waitForTurn(delivery, verified.length)
      if (reply.sent) return reply // the deadline has answered
      const parsed = parse(request, delivery, verified, receivedAtMs)
      const kept = await keepDelivery(parsed, eventLog, nextTurn, delivery.span)
      delivery.logMs = kept.logMs
      if (reply.sent) return reply
      const status =
        kept.outcome === 'duplicate' ? 'duplicate' : parsed.parked === undefined ? 'accepted' : 'parked'
      delivery.outcome = status
      record(reply, delivery, 200)
      answer(reply, status, parsed.id)
      return reply
    } finally {
      admitted.release()
    }
  }

  /** @returns `undefined` if the delivery has no valid signature */
  function authenticate(
    request: FastifyRequest,
    delivery: Delivery,
    body: Buffer,
    receivedAtMs: number
  ): VerifiedBody | undefined {
    const { source } = delivery
    delivery.bytes = body.length
    delivery.doctor = isFromDoctor(request)
    const verdict = verifySignature(
      source,
      request.headers,
      body,
      Math.floor(receivedAtMs / 1000),
      config.signature.toleranceSeconds
    )
    if (!verdict.authentic) {
      delivery.reason = verdict.reason
      metrics.signatureFailure(source, verdict.reason)
      return undefined
    }
    if (tracing !== undefined) {
      const isFromProxy = isTrustedProxy(request.raw.socket.remoteAddress ?? '')
      delivery.span = startDeliverySpan(tracing, WEBHOOK_PATH, request, delivery, isFromProxy)
    }
    delivery.key = verdict.key
    metrics.signatureKey(source, verdict.key)
    keyUsage.record(source.name, verdict.keyId)
    if (!delivery.addressAllowed && !delivery.doctor) {
      metrics.forbiddenButAuthentic(source)
      delivery.wrongAddress = wrongVariable(addressesOf(request, delivery))
    }
    return verdict.body
  }

  function parse(
    request: FastifyRequest,
    delivery: Delivery,
    body: VerifiedBody,
    receivedAtMs: number
  ): ParsedDelivery {
    const { source } = delivery
    const parsed = parseDelivery(body, {
      source,
      receivedAtMs,
      timestamp: headerText(request, 'x-cio-timestamp') ?? '',
      idHeader: source.idHeader && headerText(request, source.idHeader),
      parkedAs: undefined,
      fromDoctor: delivery.doctor === true
    })
    delivery.id = parsed.id
    delivery.type = parsed.type
    if (parsed.parked !== undefined) delivery.parked = parsed.parked
    if (parsed.happenedAtMs !== undefined) {
      delivery.ageSeconds = Math.max(0, (receivedAtMs - parsed.happenedAtMs) / 1000)
    }
    return parsed
  }

  /** @throws UnavailableError for a large body that cannot be processed in time */
  async function waitForTurn({ startedMs }: Delivery, bytes: number): Promise<void> {
    await nextTurn()
    const doneAfterMs = performance.now() - startedMs + bytes * MAX_WORK_MS_PER_BYTE
    if (doneAfterMs > DEADLINE_MS) throw new UnavailableError('overloaded')
  }

  function record(reply: FastifyReply, delivery: Delivery, status: number): void {
    deadline.done(reply)
    recordDelivery(delivery, status, performance.now(), { metrics, counter: deliveryCounter, log })
  }
}

/**
 * Answers 200. `reply.send` would take 2 µs more: it looks for streams, serializers and hooks, and makes an object of the
 * headers.
 */
function answer({ raw }: FastifyReply, status: 'accepted' | 'duplicate' | 'parked', id: string): void {
  const json = `{"status":"${status}","id":${JSON.stringify(id)}}`
  const bytes = String(Buffer.byteLength(json))
  raw.writeHead(200, ['content-type', 'application/json; charset=utf-8', 'content-length', bytes])
  raw.end(json)
}

function addressesOf({ headers, raw }: FastifyRequest, { address }: Delivery): RefusedDelivery {
  const peer = parseAddress(raw.socket.remoteAddress ?? '') ?? 'unknown'
  return { address, peer, isForwarded: headers['x-forwarded-for'] !== undefined }
}

/**
 * Whether `cio-webhook doctor` sent this delivery. Only for authentic ones, since anyone can send the header: together
 * with a valid signature it comes from a key holder, because Customer.io sends a header of its own.
 */
const isFromDoctor = ({ headers }: FastifyRequest): boolean => headers['user-agent'] === DOCTOR_USER_AGENT

function headerText(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
