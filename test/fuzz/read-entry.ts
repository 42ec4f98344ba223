import type { LogEntry } from '../../src/log/log-entry.ts'
import { parseDelivery, toLogEntry } from '../../src/receive/log-entry.ts'
import { openParked, readParked } from '../../src/receive/parked.ts'
import type { VerifiedBody } from '../../src/receive/signature.ts'
import { basic, customerio } from '../../src/sanitize/policy.ts'
import { compileSanitizer, type Sanitizer } from '../../src/sanitize/sanitize.ts'
import { type Source, signingKeys } from '../../src/settings/sources.ts'

/** How a body is read: with a policy, for a source. */
export interface Reading {
  readonly sanitizer: Sanitizer
  readonly source: Source
  /** Does the policy mask personal data in every text field? */
  readonly masksText: boolean
}

const reading = (sanitizer: Sanitizer, masksText: boolean, idPointer?: string): Reading => ({
  sanitizer,
  masksText,
  source: {
    name: 'default',
    keys: signingKeys('a-key-for-tests', undefined),
    schemes: ['body'],
    idPointer,
    idHeader: undefined,
    policy: 'customerio',
    sanitizer
  }
})

export const readings: readonly Reading[] = [
  reading(compileSanitizer(customerio), true),
  reading(compileSanitizer(customerio, { hashKey: 'k', idPaths: [['data', 'id']] }), true, '/data/id'),
  reading(compileSanitizer(basic), false),
  reading(compileSanitizer(basic, { redactFields: ['email_hash', 'name'] }), false, '/a/0')
]

const RECEIVED_AT_MS = 1_795_510_800_123
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
/** A simple address, which must not be in the output. File names and repository URLs are not addresses. */
const ADDRESS =
  /(?<![\w.%+@"\\-])(?!git@)[a-z0-9]{2,}@[a-z0-9]{2,}\.(?!(?:png|jpe?g|gif|webp|svg|pdf|css|[cm]?js|json|html?|xml|csv|txt|log|gz|zip)\b)[a-z]{2,}(?![\w.@-])/i
const TYPE = /^io\.customer\.(?:unknown|parked|doctor|[a-z]\w{0,63}\.[a-z]\w{0,63})$/i

/** Reads a body as the service does after its signature is verified. */
export const readAs = ({ source }: Reading, body: Buffer): LogEntry =>
  toLogEntry(
    parseDelivery(body as VerifiedBody, {
      source,
      timestamp: '1795510800',
      idHeader: undefined,
      receivedAtMs: RECEIVED_AT_MS,
      parkedAs: undefined,
      fromDoctor: false
    })
  )

/** Everything of an entry that leaves the process, as text. */
export const outputOf = ({ event, id, type, partitionKey }: LogEntry): string =>
  [event, id, type, partitionKey].join('\n')

/** Reads a body. @throws if the entry breaks a promise */
export function checkEntry(reading: Reading, body: Buffer): LogEntry {
  const before = Buffer.from(body)
  const entry = readAs(reading, body)
  if (!body.equals(before)) throw new Error('the body was modified')
  const again = readAs(reading, body)
  // Each parked body is encrypted with its own key.
  const isSame = entry.parked !== undefined || again.event === entry.event
  if (!isSame || again.digest !== entry.digest) {
    throw new Error('reading the body twice gives different results')
  }
  if (!entry.event.isWellFormed()) throw new Error(`cannot be encoded as UTF-8: ${entry.event}`)

  const event: unknown = JSON.parse(entry.event)
  if (!isObject(event)) throw new Error(`not an object: ${entry.event}`)
  const { data, ...envelope } = event
  checkEnvelope(entry, envelope)
  if (entry.parked === undefined) checkData(reading, body, data)
  else checkParked(reading, body, entry)
  return entry
}

/** CloudEvents 1.0, sections 3.1 and 3.2 of the JSON format. */
function checkEnvelope(entry: LogEntry, envelope: Readonly<Record<string, unknown>>): void {
  const { specversion, id, source, type, subject, time, receivedtime, datacontenttype, ...more } = envelope
  const isValid =
    specversion === '1.0' &&
    typeof id === 'string' &&
    id !== '' &&
    id === entry.id &&
    source === '/customerio/default' &&
    type === entry.type &&
    TYPE.test(entry.type) &&
    (subject === undefined || (typeof subject === 'string' && subject !== '')) &&
    (time === undefined || RFC_3339.test(String(time))) &&
    (time === undefined) === (entry.happenedAtMs === undefined) &&
    RFC_3339.test(String(receivedtime)) &&
    datacontenttype === 'application/json' &&
    Object.keys(more).length === 0 &&
    /^[0-9A-Za-z+/]{43}=$/.test(entry.digest) &&
    entry.partitionKey !== ''
  if (!isValid) throw new Error(`not a valid CloudEvent: ${entry.event}`)
}

function checkData({ sanitizer, masksText }: Reading, body: Buffer, data: unknown): void {
  if (!isObject(data)) throw new Error('the data is not an object')
  // A byte order mark is not part of the JSON (RFC 8259, section 8.1).
  const text = body.toString().replace(/^\uFEFF/, '')
  // The only exception: a second pass hashes an address that `_preserveEmail` has preserved.
  if (JSON.stringify(JSON.parse(text)).includes('"_preserveEmail":true')) return
  const once = JSON.stringify(data)
  const twice = JSON.stringify(sanitizer.value(data))
  if (once !== twice) throw new Error(`not idempotent:\n${once}\n${twice}`)
  const left = masksText ? ADDRESS.exec(once) : null
  if (left !== null) throw new Error(`an address is not removed: ${left[0]} in ${once}`)
}

/** The complete body must be stored, readable with the source's key. */
function checkParked({ source }: Reading, body: Buffer, { event }: LogEntry): void {
  const delivery = readParked(event)
  const opened = delivery && openParked(delivery, source.keys)
  if (typeof opened !== 'object' || !opened.equals(body)) throw new Error(`not the received body: ${event}`)
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
