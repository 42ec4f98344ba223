import { hash } from 'node:crypto'
import { z } from 'zod'
import { SOURCE_PREFIX } from '../event-types.ts'
import { parkedReasons } from '../log/log-entry.ts'
import type { SigningKey, Source } from '../settings/sources.ts'
import type { EventId } from './event-id.ts'
import type { Unreadable } from './payload.ts'
import { openBody, sealBody, sealedBodySchema } from './sealed-body.ts'
import type { VerifiedBody } from './signature.ts'

export const PARKED_TYPE = 'io.customer.parked'

/** What is kept of a parked delivery. Its body can only be read with a signing key. */
const parkedDataSchema = z.object({
  reason: z.enum(parkedReasons),
  /** Bytes before the first invalid one. */
  offset: z.number().optional(),
  bytes: z.number(),
  /** SHA-256 of the body, in hex. */
  sha256: z.string(),
  /** What the id was taken from: needed for a replay. */
  idKind: z.enum(['header', 'delivery']),
  ...sealedBodySchema.shape
})
type ParkedData = z.infer<typeof parkedDataSchema>

/** Version 0.1 kept the beginning of the body, as text without personal data. */
const scrubbedDataSchema = z.object({ reason: z.string(), text: z.string(), bytes: z.number() })

const parkedEventSchema = z.object({
  id: z.string(),
  source: z.string().startsWith(SOURCE_PREFIX),
  receivedtime: z.iso.datetime(),
  data: z.union([parkedDataSchema, scrubbedDataSchema])
})

/** A parked delivery of the log. */
export interface ParkedDelivery {
  readonly id: string
  /** Name of the source at the time of the delivery. */
  readonly source: string
  readonly receivedAtMs: number
  readonly data: ParkedData | z.infer<typeof scrubbedDataSchema>
}

/** Seals the body with the current key of its source. */
export function parkedData(
  { id, kind }: Pick<EventId, 'id' | 'kind'>,
  { reason, offset }: Unreadable,
  body: VerifiedBody,
  { name, keys }: Pick<Source, 'name' | 'keys'>
): ParkedData {
  const [key] = keys
  if (key === undefined) throw new RangeError('a source without a key')
  const about = {
    reason,
    ...(offset === undefined ? {} : { offset }),
    bytes: body.length,
    sha256: hash('sha256', body),
    idKind: kind === 'header' ? kind : 'delivery'
  } as const
  return { ...about, ...sealBody(body, key, boundTo(name, id, about)) }
}

/** @returns `undefined` for any other entry */
export function readParked(event: string): ParkedDelivery | undefined {
  const parsed = parkedEventSchema.safeParse(parseJson(event))
  if (!parsed.success) return undefined
  const { id, source, receivedtime, data } = parsed.data
  return { id, source: source.slice(SOURCE_PREFIX.length), receivedAtMs: Date.parse(receivedtime), data }
}

/**
 * Decrypts the body of a parked delivery. It counts as verified: it was verified before it was parked, and only a holder of
 * the signing key can have sealed it.
 *
 * @param keys the keys of its source
 * @returns the reason as text if it cannot be opened
 */
export function openParked(
  { id, source, data }: ParkedDelivery,
  keys: readonly SigningKey[]
): VerifiedBody | string {
  if (!('sealed' in data)) return 'version 0.1 kept it as scrubbed text, without its body'
  const candidates = keys.filter(key => key.id === data.keyId)
  if (candidates.length === 0) {
    return `it is sealed with the signing key ${data.keyId} of the source ${source}, which is not configured here`
  }
  for (const { secret } of candidates) {
    const body = openBody(data, secret, boundTo(source, id, data))
    if (body !== undefined) return body as VerifiedBody
  }
  return 'it cannot be opened: its entry in Redis was changed'
}

/** Binds a sealed body to its delivery: neither it nor these facts can be changed or exchanged unnoticed. */
const boundTo = (
  source: string,
  id: string,
  { reason, offset, bytes, sha256, idKind }: Omit<ParkedData, keyof z.infer<typeof sealedBodySchema>>
): string => JSON.stringify([source, id, reason, offset ?? null, bytes, sha256, idKind])

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
