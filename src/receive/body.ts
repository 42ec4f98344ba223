// Tested by test/receive/admission.test.ts and test/receive/unlisted.slow.test.ts.
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { MemoryBudget, Reservation } from './memory-budget.ts'

/** Why a body was not read completely. */
export type UnreadReason =
  /** Larger than the limit. */
  | 'too_large'
  /** The connection ended, or the deadline passed. */
  | 'unfinished'
  /** The budget for bodies in flight is used up. */
  | 'no_memory'

export class UnreadBodyError extends Error {
  override readonly name = 'UnreadBodyError'
  readonly reason: UnreadReason

  constructor(reason: UnreadReason, options?: ErrorOptions) {
    super(`body not read: ${reason}`, options)
    this.reason = reason
  }
}

/** A body to be read, with memory reserved for it. */
export interface AdmittedBody {
  /** Reads all of it. Called once. @throws UnreadBodyError */
  read(payload: IncomingMessage): Promise<Buffer>
  /** Stops reading, as `unfinished`; the rest is discarded. @returns whether it was being read */
  cancel(): boolean
  /** Releases the memory, once the body is no longer needed. Calling it again does nothing. */
  release(): void
}

interface BodyTerms {
  readonly limitBytes: number
  /**
   * Whether other bodies may take its memory until it is complete. Then memory is reserved as bytes arrive, otherwise
   * for the whole declared length before the first byte.
   */
  readonly evictable: boolean
}

const NOTHING = Buffer.alloc(0)

export const BODY_LIMIT_BYTES = 5 * 1024 * 1024

/** Reserved for each request besides its body: for its headers and Node's objects. */
const REQUEST_BYTES = 16 * 1024
/** First reservation if the length is unknown or not trusted. It doubles each time it is used up. */
const FIRST_BYTES = 4 * 1024

/** @returns `undefined` for a chunked body */
export function declaredBytes(headers: IncomingHttpHeaders): number | undefined {
  if (headers['transfer-encoding'] !== undefined) return undefined
  return Number(headers['content-length'] ?? 0)
}

/** Reserves memory for a body before a byte of it is read. @returns the reason if it must not be read */
export function admitBody(
  budget: MemoryBudget,
  headers: IncomingHttpHeaders,
  terms: BodyTerms
): AdmittedBody | 'too_large' | 'no_memory' {
  const { limitBytes, evictable } = terms
  const declared = declaredBytes(headers)
  if (declared !== undefined && declared > limitBytes) return 'too_large'
  const first = evictable ? Math.min(declared ?? FIRST_BYTES, FIRST_BYTES) : (declared ?? FIRST_BYTES)
  let fail: (reason: UnreadReason) => boolean = () => false
  const reservation = budget.reserve(
    REQUEST_BYTES + first,
    evictable ? () => void fail('no_memory') : undefined
  )
  if (reservation === undefined) return 'no_memory'
  return {
    read: payload =>
      new Promise((resolve, reject) => {
        fail = collect(payload, first, declared ?? limitBytes, terms, reservation, resolve, reject)
      }),
    cancel: () => fail('unfinished'),
    release: () => reservation.release()
  }
}

/**
 * Copies the chunks into one growing buffer. A list of chunks would cost far more than their bytes, since each chunk
 * can be a single byte. A body in one chunk, as nearly every one is, is not copied.
 *
 * @param firstBytes reserved already
 * @returns stops reading; false if that had ended before
 */
function collect(
  payload: IncomingMessage,
  firstBytes: number,
  expectedBytes: number,
  { limitBytes }: BodyTerms,
  reservation: Reservation,
  resolve: (body: Buffer) => void,
  reject: (error: UnreadBodyError) => void
): (reason: UnreadReason) => boolean {
  let settled = false
  let buffer: Buffer<ArrayBuffer> = NOTHING
  let length = 0
  payload.on('data', append)
  payload.on('end', end)
  payload.on('error', connectionLost)
  payload.on('close', connectionLost)
  return fail

  function append(chunk: Buffer<ArrayBuffer>): void {
    if (settled) return
    const needed = length + chunk.length
    if (needed > limitBytes) fail('too_large')
    else if (chunk.length === firstBytes && length === 0) [buffer, length] = [chunk, needed]
    else if (needed > buffer.length && !enlarge(needed)) fail('no_memory')
    else length += chunk.copy(buffer, length)
  }

  function enlarge(neededBytes: number): boolean {
    const bytes = Math.max(neededBytes, firstBytes, Math.min(2 * buffer.length, expectedBytes))
    if (!reservation.grow(bytes - Math.max(firstBytes, buffer.length))) return false
    const larger = Buffer.allocUnsafe(bytes)
    buffer.copy(larger, 0, 0, length)
    free(buffer)
    buffer = larger
    return true
  }

  function end(): void {
    if (settled) return
    settled = true
    reservation.keep()
    resolve(length === buffer.length ? buffer : buffer.subarray(0, length))
    buffer = NOTHING // the listeners stay, and would keep it
  }

  function connectionLost(cause?: Error): void {
    fail('unfinished', cause)
  }

  function fail(reason: UnreadReason, cause?: Error): boolean {
    if (settled) return false
    settled = true
    free(buffer)
    buffer = NOTHING
    reservation.release()
    payload.resume()
    reject(new UnreadBodyError(reason, { cause }))
    return true
  }
}

/** Frees memory now: the next garbage collection would be too late in a flood. Works from Node 22 on. */
function free({ buffer, byteLength }: Buffer<ArrayBuffer>): void {
  // A small buffer can be part of Node's pool.
  if (byteLength > 0 && buffer.byteLength === byteLength && 'transfer' in buffer) buffer.transfer(0)
}
