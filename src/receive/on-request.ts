// Tested by test/receive/admission.test.ts and test/receive/unlisted.slow.test.ts.
import type { FastifyReply, FastifyRequest } from 'fastify'
import { parseAddress } from '../address.ts'
import { limitChunks } from '../http/unknown-peers.ts'
import { closeAfterResponse, sendError } from '../ops/error-responses.ts'
import type { Config } from '../settings/config.ts'
import { DEFAULT_SOURCE, type Source } from '../settings/sources.ts'
import { admitBody, BODY_LIMIT_BYTES } from './body.ts'
import type { Deadline } from './deadline.ts'
import type { Delivery } from './delivery.ts'
import type { FailedAttempts } from './failed-attempts.ts'
import type { IpAllowlist } from './ip-allowlist.ts'
import type { LoadWatch } from './load.ts'
import { createMemoryBudget } from './memory-budget.ts'
import type { Refusals } from './refusal.ts'

const MIB = 1024 * 1024
/** For an address that may not deliver. Its body is only read to count whether the signature was valid. */
const BARRED_BODY_LIMIT_BYTES = 128 * 1024
/** All bodies in flight: together with the events made of them and with Node itself, they fit into 512 MiB. */
const BODIES = { totalBytes: 128 * MIB, evictableBytes: 64 * MIB }
const BARRED_BODIES = { totalBytes: 8 * MIB, evictableBytes: 0 }

interface OnRequestOptions {
  readonly config: Pick<Config, 'sources' | 'admission'>
  readonly ipAllowlist: IpAllowlist
  readonly failures: FailedAttempts
  readonly refusals: Refusals
  readonly deadline: Deadline
  readonly load: LoadWatch
}

type Hook = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void

/**
 * Checks the head of a request before a byte of its body is read: is the source known, may the address deliver, has it
 * failed too often, is there memory for the body?
 */
export function createOnRequest(options: OnRequestOptions): Hook {
  const { config, ipAllowlist, failures, refusals, deadline, load } = options
  const isEnforced = config.admission.policy === 'enforce'
  const bodies = createMemoryBudget(BODIES)
  const barredBodies = createMemoryBudget(BARRED_BODIES)
  return onRequest

  function onRequest(request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void {
    const delivery = startDelivery(request)
    if (delivery?.listed === false) limitChunks(request.raw)
    if (delivery === undefined) sendError(reply, 'CIO_NOT_FOUND')
    else if (isDisconnected(request)) refusals.refuse(reply, delivery, 'CIO_BAD_REQUEST')
    else if (load.isOverloaded()) refusals.refuseUnread(reply, delivery, 'overloaded').catch(done)
    else {
      deadline.start(reply)
      if (isRateLimitCandidate(delivery)) checkRateLimit(reply, delivery, done).catch(done)
      else reserveBody(reply, delivery, done)
    }
  }

  function startDelivery(request: FastifyRequest): Delivery | undefined {
    const source = sourceOf(request)
    if (source === undefined) return undefined
    // A proxy can pass on any text, and a connection that was reset has no address.
    const address = parseAddress(request.ip ?? '') ?? 'unknown'
    const addressAllowed = ipAllowlist.isAllowed(address)
    request.delivery = {
      source,
      address,
      startedMs: performance.now(),
      listed: ipAllowlist.isKnown(address),
      addressAllowed,
      barred: !addressAllowed && isEnforced
    }
    return request.delivery
  }

  function sourceOf(request: FastifyRequest): Source | undefined {
    const { source = DEFAULT_SOURCE } = request.params as { source?: string }
    return config.sources.get(source)
  }

  async function checkRateLimit(reply: FastifyReply, delivery: Delivery, done: () => void): Promise<void> {
    const waitSeconds = await failures.check(reply.request)
    if (waitSeconds === undefined) reserveBody(reply, delivery, done)
    else refusals.refuse(closeAfterResponse(reply), delivery, 'CIO_RATE_LIMITED', waitSeconds)
  }

  function reserveBody(reply: FastifyReply, delivery: Delivery, done: (error?: Error) => void): void {
    const { headers } = reply.request
    const { barred, listed } = delivery
    const body = barred
      ? admitBody(barredBodies, headers, { limitBytes: BARRED_BODY_LIMIT_BYTES, evictable: false })
      : admitBody(bodies, headers, { limitBytes: BODY_LIMIT_BYTES, evictable: !listed })
    if (typeof body === 'string') {
      refusals.refuseUnread(reply, delivery, body).catch(done)
      return
    }
    delivery.body = body
    if (/^100-continue$/i.test(headers.expect ?? '')) reply.raw.writeContinue()
    done()
  }
}

const isRateLimitCandidate = ({ barred, listed }: Delivery): boolean => barred && !listed

/** A connection that was reset has no remote address, and cannot get an answer. */
const isDisconnected = (request: FastifyRequest): boolean => request.raw.socket.remoteAddress === undefined
