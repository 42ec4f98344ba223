import { hash } from 'node:crypto'
import { z } from 'zod'
import { parkedReasons } from '../log/log-entry.ts'
import type { SigningKey, Source } from '../settings/sources.ts'
import type { EventId } from './event-id.ts'
import type { Unreadable } from './payload.ts'
import { openBody, sealBody, sealedBodySchema } from './sealed-body.ts'
import type { VerifiedBody } from './signature.ts'

export const PARKED_TYPE = 'io.customer.parked'

const SOURCE_PREFIX = '/customerio/'

/** What is kept of a parked delivery: nothing of its body that can be read without a signing key. */
const parkedDataSchema = z.object({
  reason: z.enum(parkedReasons),
  /** Bytes before the first one that is wrong. */
  offset: z.number().optional(),
  bytes: z.number(),
  /** Of the body, in hex. */
  sha256: z.string(),
  /** What the id was taken from: needed when the delivery is read again. */
  idKind: z.enum(['header', 'delivery']),
  ...sealedBodySchema.shape
})
type ParkedData = z.infer<typeof parkedDataSchema>

/** Version 0.1 kept the beginning of the body, as text without what the PII policy covers. */
const scrubbedDataSchema = z.object({ reason: z.string(), text: z.string(), bytes: z.number() })

const parkedEventSchema = z.object({
  id: z.string(),
  source: z.string().startsWith(SOURCE_PREFIX),
  receivedtime: z.iso.datetime(),
  data: z.union([parkedDataSchema, scrubbedDataSchema])
})

/** A parked delivery as it stands in the log. */
export interface ParkedDelivery {
  readonly id: string
  /** Name of the source, as configured when it came. */
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

/** @returns `undefined` for what is not a parked delivery */
export function readParked(event: string): ParkedDelivery | undefined {
  const parsed = parkedEventSchema.safeParse(parseJson(event))
  if (!parsed.success) return undefined
  const { id, source, receivedtime, data } = parsed.data
  return { id, source: source.slice(SOURCE_PREFIX.length), receivedAtMs: Date.parse(receivedtime), data }
}

/**
 * The body of a parked delivery, as it came. It was verified before it was parked: only this service, which has the signing key,
 * can have sealed it.
 *
 * @param keys those of its source
 * @returns why not, in words, where it cannot be opened
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

/** A sealed body belongs to one delivery, and what is said about it cannot be changed. */
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
