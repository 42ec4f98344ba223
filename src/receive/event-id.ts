import { createHash, hash } from 'node:crypto'
import { isLosslessNumber } from '../exact-json.ts'
import { pathOf, valueAt } from '../json-pointer.ts'
import type { Sanitizer } from '../sanitize/sanitize.ts'
import type { Source } from '../settings/sources.ts'
import type { JsonObject } from './payload.ts'

/**
 * Where an id was taken from, best first:
 * - `pointer`: the value at the source's JSON pointer;
 * - `header`: the header that the source names, together with the body, since headers are not signed;
 * - `event_id` of the payload;
 * - `delivery`: timestamp header and body. An exact replay has the same id, two similar messages do not.
 */
type IdKind = 'pointer' | 'header' | 'event_id' | 'delivery'

export interface EventId {
  readonly kind: IdKind
  /** The event id in the answer, the log line and the CloudEvent: without personal data. */
  readonly id: string
  /** What dedupe is keyed by: SHA-256 of the source, the kind and the id as received, in base64. */
  readonly digest: string
}

/** Sources of an id besides the body. */
export interface IdContext {
  readonly source: Pick<Source, 'name' | 'idPointer' | 'idHeader'>
  /** `x-cio-timestamp`, as received. */
  readonly timestamp: string
  /** The value of the header that the source names. */
  readonly idHeader: string | undefined
  /** For a parked delivery that is replayed: its id, since its headers are not kept. */
  readonly parkedAs: Pick<EventId, 'kind' | 'id'> | undefined
}

const MAX_ID_LENGTH = 256
const SHA256_HEX = /^[0-9a-f]{64}$/
/** What templates print for a missing value. */
const MISSING = /^(?:null|undefined|[\s\p{Cf}]*)$/iu

export function eventId(
  payload: JsonObject,
  body: Buffer,
  context: IdContext,
  sanitizer: Sanitizer
): EventId {
  const { name, idPointer } = context.source
  const pointed = idPointer === undefined ? undefined : asPointedId(valueAt(payload, pathOf(idPointer)))
  if (pointed !== undefined) {
    const digest = digestOf('pointer', name, pointed)
    return { kind: 'pointer', digest, id: publicId(pointed, digest, sanitizer) }
  }
  const ofHeader = headerId(body, context)
  if (ofHeader !== undefined) return ofHeader
  const named = asId(payload['event_id'])
  if (named === undefined) return digestId(body, context)
  const digest = digestOf('event_id', name, named)
  // As hash, since the text could be equal to the id of another event, found by the pointer.
  const id = idPointer === undefined ? publicId(named, digest, sanitizer) : hexOf(digest)
  return { kind: 'event_id', digest, id }
}

/** The id of a delivery that cannot be parsed. It has a digest of its own, since its replay can become an event. */
export function parkedId(body: Buffer, context: IdContext): EventId {
  const { kind, id } = headerId(body, context) ?? digestId(body, context)
  return { kind, id, digest: digestOf('parked', context.source.name, id) }
}

/**
 * Every digest with which dedupe can remember an event of this source that has this id in the log.
 *
 * @returns `isComplete`: false if the id may also be the hash of an id that is personal data: its digest is not known then
 */
export function digestsOfId(
  id: string,
  source: string
): { readonly digests: readonly string[]; readonly isComplete: boolean } {
  const named = [digestOf('event_id', source, id), digestOf('pointer', source, id)]
  if (!SHA256_HEX.test(id)) return { digests: named, isComplete: true }
  // An event of the doctor can have the digest of a parked delivery.
  const hashed = (['header', 'delivery', 'parked'] as const).map(kind => digestOf(kind, source, id))
  const shownDigest = Buffer.from(id, 'hex').toString('base64')
  return { digests: [...named, ...hashed, shownDigest], isComplete: false }
}

/** The digest of an `event_id` of a source. */
export const namedDigest = (source: string, id: string): string => digestOf('event_id', source, id)

function headerId(body: Buffer, { source, idHeader, parkedAs }: IdContext): EventId | undefined {
  if (parkedAs !== undefined)
    return parkedAs.kind === 'header' ? ofHex('header', source.name, parkedAs.id) : undefined
  const value = source.idHeader === undefined ? undefined : asId(idHeader)
  if (value === undefined) return undefined
  return ofHex('header', source.name, sha256(`${source.name}\0header\0${value}\0`, body))
}

function digestId(body: Buffer, { source, timestamp, parkedAs }: IdContext): EventId {
  return ofHex('delivery', source.name, parkedAs?.id ?? sha256(`${source.name}\0${timestamp}\0`, body))
}

const ofHex = (kind: IdKind, source: string, id: string): EventId => ({
  kind,
  id,
  digest: digestOf(kind, source, id)
})

const sha256 = (head: string, body: Buffer): string =>
  createHash('sha256').update(head).update(body).digest('hex')

/**
 * Ids of different sources or kinds never have the same digest, since no source name starts with a NUL character. The
 * digest of an `event_id` is the one of version 0.1, so that an upgrade causes no duplicates.
 */
function digestOf(kind: IdKind | 'parked', source: string, id: string): string {
  return hash('sha256', kind === 'event_id' ? `${source}\0${id}` : `\0${kind}\0${source}\0${id}`, 'base64')
}

/**
 * An id that is personal data, such as an address, is shown as a hash. With `PII_HASH_KEY` its token is keyed, so the id
 * cannot be found by guessing.
 */
function publicId(id: string, digest: string, sanitizer: Sanitizer): string {
  const token = sanitizer.maskId(id)
  return token === id ? id : hash('sha256', `${digest}${token}`)
}

const hexOf = (digest: string): string => Buffer.from(digest, 'base64').toString('hex')

function asPointedId(value: unknown): string | undefined {
  if (typeof value === 'number') return asId(String(value))
  return asId(isLosslessNumber(value) ? value.value : value)
}

/** Half a surrogate pair has no UTF-8: ids that only differ in it would have the same digest. */
const asId = (value: unknown): string | undefined =>
  typeof value === 'string' &&
  value.length <= MAX_ID_LENGTH &&
  !MISSING.test(value.trim()) &&
  value.isWellFormed()
    ? value
    : undefined
