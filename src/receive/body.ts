import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { MemoryBudget, Reservation } from './memory-budget.ts'

/** Why a body was not read to its end. */
export type UnreadReason =
  /** Larger than the limit. */
  | 'too_large'
  /** The connection ended first, or the answer was due. */
  | 'unfinished'
  /** The budget for bodies in flight is used up. */
  | 'no_memory'

export class UnreadBodyError extends Error {
  readonly reason: UnreadReason

  constructor(reason: UnreadReason, options?: ErrorOptions) {
    super(`body not read: ${reason}`, options)
    this.name = 'UnreadBodyError'
    this.reason = reason
  }
}

/** One body to be read, with memory set aside for it. */
export interface AdmittedBody {
  /** `done` is called once, with the body or with why there is none. */
  read(payload: IncomingMessage, done: BodyCallback): void
  /** Stops reading, as `unfinished`; what still comes is discarded. @returns was it being read? */
  cancel(): boolean
  /** Gives the memory back, once nobody needs the body. Calling it again does nothing. */
  release(): void
}

type BodyCallback = (error: UnreadBodyError | null, body?: Buffer) => void

export interface BodyTerms {
  readonly limitBytes: number
  /**
   * Is the declared length believed? Then memory for all of it is set aside before it is read, and kept. Otherwise
   * memory is set aside as the bytes arrive, and can be lost again to other bodies until the last one is there.
   */
  readonly trusted: boolean
}

const NOTHING = Buffer.alloc(0)

/** Charged for each request besides its body: its headers, and the objects that Node makes for it. */
const REQUEST_BYTES = 16 * 1024
/** Where the length is not known or not believed, this much is set aside first, and twice as much each time after. */
const FIRST_BYTES = 4 * 1024

/** @returns `undefined` for a chunked body */
export function declaredBytes(headers: IncomingHttpHeaders): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined
  return Number(headers['content-length'] ?? 0)
}

/** Sets memory aside for a body before a byte of it is read. @returns why it can't be read, if so */
export function admitBody(
  budget: MemoryBudget,
  headers: IncomingHttpHeaders,
  { limitBytes, trusted }: BodyTerms
): AdmittedBody | 'too_large' | 'no_memory' {
  const declared = declaredBytes(headers)
  if (declared !== undefined && declared > limitBytes) return 'too_large'
  const first = trusted ? (declared ?? FIRST_BYTES) : Math.min(declared ?? FIRST_BYTES, FIRST_BYTES)
  let fail: (reason: UnreadReason) => boolean = () => false
  const reservation = budget.reserve(
    REQUEST_BYTES + first,
    trusted ? undefined : () => void fail('no_memory')
  )
  if (reservation === undefined) return 'no_memory'
  return {
    read: (payload, done) => {
      fail = collect(payload, first, declared ?? limitBytes, limitBytes, reservation, done)
    },
    cancel: () => fail('unfinished'),
    release: () => reservation.release()
  }
}

/**
 * Copies the chunks into one buffer that grows. A list of chunks would cost far more than their bytes: they can be
 * one byte each.
 *
 * @returns ends the reading
 */
function collect(
  payload: IncomingMessage,
  firstBytes: number,
  expectedBytes: number,
  limitBytes: number,
  reservation: Reservation,
  done: BodyCallback
): (reason: UnreadReason) => boolean {
  let settled = false
  let buffer = Buffer.allocUnsafe(firstBytes)
  let length = 0
  payload.on('data', append)
  payload.on('end', end)
  payload.on('error', lose)
  payload.on('close', lose)
  return fail

  function append(chunk: Buffer): void {
    const needed = length + chunk.length
    if (needed > limitBytes) fail('too_large')
    else if (needed > buffer.length && !enlarge(needed)) fail('no_memory')
    else length += chunk.copy(buffer, length)
  }

  function enlarge(neededBytes: number): boolean {
    const bytes = Math.max(neededBytes, Math.min(2 * buffer.length, expectedBytes))
    if (!reservation.grow(bytes - buffer.length)) return false
    const larger = Buffer.allocUnsafe(bytes)
    buffer.copy(larger, 0, 0, length)
    buffer = larger
    return true
  }

  function end(): void {
    if (!settle()) return
    reservation.keep()
    done(null, buffer.subarray(0, length))
  }

  function lose(cause?: Error): void {
    fail('unfinished', cause)
  }

  function fail(reason: UnreadReason, cause?: Error): boolean {
    if (!settle()) return false
    buffer = NOTHING
    reservation.release()
    payload.resume()
    done(new UnreadBodyError(reason, { cause }))
    return true
  }

  /** The listener for errors stays: a connection can still break after that. */
  function settle(): boolean {
    if (settled) return false
    settled = true
    payload.off('data', append)
    payload.off('end', end)
    payload.off('close', lose)
    return true
  }
}
