import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { parseAddress } from '../address.ts'
import { createTurns } from '../async/turns.ts'
import { UnavailableError } from '../errors.ts'
import type { EventLog } from '../log/append.ts'
import type { Logger } from '../ops/logger.ts'
import type { Metrics } from '../ops/metrics.ts'
import type { Config } from '../settings/config.ts'
import { createAddressAdvice } from './address-advice.ts'
import { BYTES, createAdmit } from './admit.ts'
import { createDeadline } from './deadline.ts'
import type { Delivery } from './delivery.ts'
import { isFromDoctor } from './doctor-delivery.ts'
import { countFailedAttempts } from './failed-attempts.ts'
import type { IpAllowlist } from './ip-allowlist.ts'
import { keepDelivery } from './keep.ts'
import type { KeyUsageReporter } from './key-usage-reporter.ts'
import { watchLoad } from './load.ts'
import { type ParsedDelivery, parseDelivery } from './log-entry.ts'
import { recordDelivery } from './record.ts'
import { createRefusals } from './refusal.ts'
import { verifySignature } from './signature.ts'

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
  readonly keyUsage: Pick<KeyUsageReporter, 'seen'>
  readonly admission: IpAllowlist
  readonly log: Logger
  /** Unix milliseconds. */
  readonly now: () => number
}

export const WEBHOOK_PATH = '/api/cio/webhook'

/**
 * Customer.io hangs up after 4 s, and every request is answered within 3.5 s: the rest is for the way, and for an
 * answer that is nearly there. Covers a slow body and a slow Redis alike.
 */
const DEADLINE_MS = 3350
/** Bodies from this size on are worked on one a turn of the event loop, so that small ones do not wait for several. */
const LARGE_BODY_BYTES = 256 * 1024
/** What a body may cost at most: 200 ms a MiB (law 9). */
const MAX_WORK_MS_PER_BYTE = 200 / (1024 * 1024)

const NO_BODY = Buffer.alloc(0)

/** The receiver: a signed webhook goes in, a clean event comes out. Reads from top to bottom as a delivery's way. */
export async function receiver(app: FastifyInstance, dependencies: ReceiverDependencies): Promise<void> {
  const { config, eventLog, metrics, keyUsage, admission, log, now } = dependencies

  const load = watchLoad()
  const failures = await countFailedAttempts(app, config.admission)
  const nextTurn = createTurns()
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
  app.addHook('onRequest', createAdmit({ config, admission, failures, refusals, deadline, load }))
  app.addContentTypeParser(BYTES, (request, payload, done) => request.delivery?.body?.read(payload, done))
  app.setErrorHandler(refusals.refuseError)
  app.addHook('onClose', async () => {
    deadline.close()
    load.stop()
  })
  app.post(WEBHOOK_PATH, receive)
  app.post(`${WEBHOOK_PATH}/:source`, receive)

  async function receive(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const delivery = request.delivery as Delivery
    try {
      const parsed = await readDelivery(request, reply, delivery)
      if (parsed === undefined || reply.sent) return reply
      const kept = await keepDelivery(parsed, eventLog, nextTurn)
      delivery.logMs = kept.logMs
      if (reply.sent) return reply // too late: the deadline has answered
      const status =
        kept.outcome === 'duplicate' ? 'duplicate' : parsed.parked === undefined ? 'accepted' : 'parked'
      delivery.outcome = status
      record(reply, delivery, 200)
      return reply
        .header('content-type', 'application/json; charset=utf-8')
        .send(`{"status":"${status}","id":${JSON.stringify(parsed.id)}}`)
    } finally {
      delivery.body?.release()
    }
  }

  /** From bytes to a parsed delivery. @returns `undefined` when the delivery was refused, or answered meanwhile */
  async function readDelivery(
    request: FastifyRequest,
    reply: FastifyReply,
    delivery: Delivery
  ): Promise<ParsedDelivery | undefined> {
    const { source } = delivery
    const bytes = Buffer.isBuffer(request.body) ? request.body : NO_BODY
    request.body = undefined // else it would be kept for as long as Redis takes
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
      await refusals.refuseUnauthentic(reply, delivery)
      return undefined
    }
    delivery.key = verdict.key
    metrics.signatureKey(source, verdict.key)
    keyUsage.seen(source.name, verdict.keyId)
    const fromDoctor = isFromDoctor(request.headers)
    if (delivery.forbidden && !fromDoctor) metrics.forbiddenButAuthentic(source)
    if (delivery.barred) {
      refuseAuthentic(request, reply, delivery)
      return undefined
    }
    if (bytes.length >= LARGE_BODY_BYTES) await turnOfLargeBody(delivery, bytes.length)
    if (reply.sent) return undefined

    const parsed = parseDelivery(verdict.body, {
      source,
      receivedAtMs,
      timestamp: headerText(request, 'x-cio-timestamp') ?? '',
      idHeader: source.idHeader && headerText(request, source.idHeader),
      parkedAs: undefined,
      fromDoctor
    })
    delivery.id = parsed.id
    delivery.type = parsed.type
    if (parsed.parked !== undefined) delivery.parked = parsed.parked
    if (parsed.happenedAtMs !== undefined) {
      delivery.ageSeconds = Math.max(0, (receivedAtMs - parsed.happenedAtMs) / 1000)
    }
    return parsed
  }

  /** @throws UnavailableError for a body that can't be worked on in time */
  async function turnOfLargeBody({ startedMs }: Delivery, bytes: number): Promise<void> {
    await nextTurn()
    const doneAfterMs = performance.now() - startedMs + bytes * MAX_WORK_MS_PER_BYTE
    if (doneAfterMs > DEADLINE_MS) throw new UnavailableError('overloaded')
  }

  function refuseAuthentic({ headers, raw }: FastifyRequest, reply: FastifyReply, delivery: Delivery): void {
    const peer = parseAddress(raw.socket.remoteAddress ?? '') ?? 'unknown'
    const isForwarded = headers['x-forwarded-for'] !== undefined
    adviseOnAddress({ address: delivery.address, peer, isForwarded })
    refusals.refuse(reply, delivery, 'CIO_SOURCE_FORBIDDEN')
  }

  function record(reply: FastifyReply, delivery: Delivery, status: number): void {
    deadline.done(reply)
    recordDelivery(delivery, status, performance.now(), metrics, log)
  }
}

function headerText(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value.join(', ') : value
}
